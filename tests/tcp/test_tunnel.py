"""atmosphere.tcp.tunnel, with proxies that misbehave; a real one is in tests/interop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from atmosphere.errors import Unreachable
from atmosphere.tcp.tunnel import open_tunnel
from tests.certificates import self_signed, server_context


class FakeProxy:
    """Gives every request this answer, then echoes (or closes, for no answer)."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: asyncio.Queue[bytes] = asyncio.Queue()
        self.port = 0
        self._done = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        with contextlib.suppress(OSError):
            while self.answer and (data := await reader.read(1000)):
                writer.write(data)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._done.set()

    async def finished(self) -> None:
        async with asyncio.timeout(5):
            await self._done.wait()


@asynccontextmanager
async def proxy(answer: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[FakeProxy]:
    fake = FakeProxy(answer)
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0, ssl=context) as listening:
        fake.port = listening.sockets[0].getsockname()[1]
        yield fake
        await fake.finished()


class Reader(asyncio.Protocol):
    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def data_received(self, data: bytes) -> None:
        self.got.put_nowait(data)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_tunnel(tls: bool, tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=str(files[0]))
    async with proxy(b"HTTP/1.1 200 OK\r\n\r\n", server_context(files) if tls else None) as fake:
        scheme = "https" if tls else "http"
        transport = await open_tunnel(f"{scheme}://u:p@localhost:{fake.port}", "relay.example", 443, tls=trusting)
        assert (await fake.asked.get()).startswith(b"CONNECT relay.example:443 HTTP/1.1\r\n")
        reader = Reader()
        transport.set_protocol(reader)
        transport.write(b"through")
        async with asyncio.timeout(5):
            assert await reader.got.get() == b"through"
        transport.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "the proxy refused: 502 Bad Gateway"),
        (b"", "the proxy closed the connection"),
    ],
)
async def test_no_tunnel(answer: bytes, expected: str) -> None:
    async with proxy(answer) as fake:
        with pytest.raises(Unreachable, match=expected):
            await open_tunnel(f"http://127.0.0.1:{fake.port}", "relay.example", 443)


async def test_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await open_tunnel(f"http://127.0.0.1:{port}", "relay.example", 443)
    with pytest.raises(Unreachable, match="the proxy is not there"):
        await open_tunnel(f"http://127.0.0.1:{port}", "relay.example", 443)

    async def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(Unreachable, match="does not resolve"):
        await open_tunnel("http://proxy.invalid", "relay.example", 443)
