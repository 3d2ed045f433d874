from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from pathlib import Path

import pytest

from atmosphere.tcp.tls_buffers import BUFFER, shrink
from tests.certificates import LOOPBACK, self_signed, server_context, trusting


async def test_connections_have_small_buffers_and_carry_as_much(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(SSLProtocol, "max_size", SSLProtocol.max_size)  # put back afterwards
    shrink()
    files = self_signed(tmp_path, *LOOPBACK)
    sizes: list[int] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sizes.append(len(writer.transport._ssl_protocol._ssl_buffer))  # type: ignore[attr-defined]
        writer.write(await reader.readexactly(1_000_000))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context(files))
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2], ssl=trusting(files[0]))
    sent = bytes(range(250)) * 4000
    writer.write(sent)
    assert await reader.read(-1) == sent
    assert sizes == [BUFFER]
    writer.close()
    server.close()


def test_it_never_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SSLProtocol, "max_size", 1000)
    shrink()
    assert SSLProtocol.max_size == 1000
