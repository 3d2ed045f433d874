"""atmosphere.network.portal: what answers in a signaling server's place."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.network.portal import HealthAnswer, ask_health, judge
from signaling import SignalingServer
from tests.certificates import self_signed, server_context

OK = b"HTTP/1.1 200 OK\r\n\r\nok\n"
HTML = b"Content-Type: text/html\r\n\r\n<html>Welcome to the hotel</html>"


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A TCP server of this machine's, its port; leaving it waits for every connection's end."""
    running: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await handler(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        async with asyncio.timeout(5):
            await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def answering(answer: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Something that answers every request with `answer`: its port, and what it was asked."""
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with serving(handle, context) as port:
        yield port, asked


async def test_a_signaling_server_answers_itself() -> None:
    server = SignalingServer()
    await server.start("127.0.0.1")
    found = await ask_health(f"ws://127.0.0.1:{server.port}/", timeout=5)
    await server.stop()
    assert (found.ok, found.host, found.error, found.portal) == (True, "127.0.0.1", None, False)
    assert found.rtt is not None
    assert 0 < found.rtt < 5


@pytest.mark.parametrize("path", ["/", "/prefix/", "/prefix/signal"])
async def test_what_is_asked(path: str) -> None:
    async with answering(OK) as (port, asked):
        assert (await ask_health(f"ws://127.0.0.1:{port}{path}", timeout=5)).ok
    assert asked[0].startswith(f"GET {path.removesuffix('signal').rstrip('/')}/health HTTP/1.1\r\n".encode())
    assert f"\r\nHost: 127.0.0.1:{port}\r\n".encode() in asked[0]


@pytest.mark.parametrize(
    ("name", "data", "tls", "portal"),
    [
        ("a page of the hotel's", b"HTTP/1.1 200 OK\r\n" + HTML, False, True),
        ("a way to its page", b"HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/\r\n\r\n", False, True),
        ("… that is no URL", b"HTTP/1.1 302 Found\r\nLocation: http://[/\r\n\r\n", False, True),
        ("what RFC 6585 says", b"HTTP/1.1 511 Network Authentication Required\r\n" + HTML, False, True),
        ("its own TLS port", b"HTTP/1.1 301 Moved\r\nlocation: https://relay.example/health\r\n\r\n", False, None),
        ("a path of its own", b"HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\n\r\n", False, None),
        ("a way to nowhere", b"HTTP/1.1 302 Found\r\n\r\n", False, None),
        ("a web server before it", b"HTTP/1.1 404 Not Found\r\n" + HTML, False, None),
        ("that, with its certificate", b"HTTP/1.1 200 OK\r\n" + HTML, True, False),
        ("no HTTP", b"SSH-2.0-OpenSSH\r\n", False, None),
        ("nothing", b"", False, None),
    ],
)
def test_what_is_no_signaling_server(name: str, data: bytes, tls: bool, portal: bool | None) -> None:
    found = judge(data, "relay.example", tls=tls)
    assert found is not None
    assert (found.ok, found.portal) == (False, portal)
    assert found.error


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\nok\n",
        b"HTTP/1.1 200 OK\r\n\r\nok, alone\n",
        b"HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_one(data: bytes) -> None:
    assert judge(data, "relay.example", tls=False) is None


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda rest: b"HTTP/1.1 302 Found\r\nLocation: " + rest))
def test_any_bytes_have_a_meaning(data: bytes) -> None:
    found = judge(data, "relay.example", tls=False)
    assert found is None or found.error


async def test_nobody_is_there() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # the question
        await reader.read()  # until it gives up

    async with serving(silent) as port:
        assert await ask_health(f"ws://127.0.0.1:{port}/", timeout=0.1) == HealthAnswer(error="no answer")
    refused = await ask_health(f"ws://127.0.0.1:{port}/", timeout=5)
    assert "refused" in str(refused.error) or "connect" in str(refused.error)


async def test_a_certificate_that_is_not_the_servers(tmp_path: Path) -> None:
    context = server_context(self_signed(tmp_path))
    async with answering(OK, context) as (port, _):
        found = await ask_health(f"wss://localhost:{port}/", timeout=5)
    assert (found.ok, found.portal) == (False, None)
    assert "certificate is not valid" in str(found.error)


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[int]:
    """A proxy whose tunnels all lead to a port of this machine's; its own port."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
        writer.transport.abort()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT relay.example:")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        there, to_there = await asyncio.open_connection("127.0.0.1", port)
        back = asyncio.create_task(pipe(there, writer))
        await pipe(reader, to_there)
        await back

    async with serving(handle) as own:
        yield own


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_through_a_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str) -> None:
    files = self_signed(tmp_path, "relay.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    async with (
        answering(OK, server_context(files) if scheme == "wss" else None) as (port, asked),
        proxy_to(port) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
        found = await ask_health(f"{scheme}://relay.example/", timeout=5)
    assert (found.ok, found.host, found.error) == (True, "", None)
    assert b"Host: relay.example\r\n" in asked[0]


async def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(b"SSH-2.0\r\n\r\n") as (port, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        found = await ask_health("ws://relay.example/", timeout=5)
    assert found.error == "the proxy does not answer as one"
