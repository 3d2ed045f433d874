"""An end that is TLS over asyncio's TCP: what a Python program has where both ends can reach each other anyway.

A message is its length (4 bytes) and itself; one of no bytes is the end, and answered by the count of bytes (8).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atmosphere.identity import Identity
from tests.bench.end import ADDRESS, BLOCK, PATIENCE, SMALL, Sink, now, pieces

LENGTH = 4


class TlsEnd:
    """A server, or a client with a connection for each thing that is measured."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._host = self._port = ""
        self._began = 0.0

    async def prepare(self) -> str:
        self._server = await asyncio.start_server(serve, ADDRESS, 0, ssl=self._server_context())
        return f"{ADDRESS} {self._server.sockets[0].getsockname()[1]}"

    async def dial(self, text: str) -> str:
        self._host, self._port, self._began = *text.split(), now()
        return ""

    async def respond(self, text: str) -> str:
        return text

    async def finish(self, text: str) -> float:
        async with asyncio.timeout(PATIENCE):
            await self.echo("stream", 1)
        return now() - self._began

    async def reconnect(self) -> float:
        return await self.finish("")

    async def throughput(self, kind: str, seconds: float, size: int = len(BLOCK)) -> tuple[float, float]:
        reader, writer = await self._connect(b"s")
        began, messages, length = now(), pieces(size), size.to_bytes(LENGTH)
        while now() < began + seconds:
            writer.write(length + next(messages))
            await writer.drain()
        writer.write(bytes(LENGTH))
        arrived = int.from_bytes(await reader.readexactly(8))
        writer.close()
        return arrived / (now() - began) / 1e6, arrived / 1e6

    async def echo(self, kind: str, count: int) -> list[float]:
        reader, writer = await self._connect(b"e")
        took = []
        for _ in range(count):
            began = now()
            writer.write(SMALL)
            await reader.readexactly(len(SMALL))
            took.append((now() - began) * 1e6)
        writer.close()
        return took

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _connect(self, kind: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self._host, int(self._port), ssl=self._client_context())
        writer.write(kind)
        return reader, writer

    def _server_context(self) -> ssl.SSLContext | None:
        return server_context()

    def _client_context(self) -> ssl.SSLContext | None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


class TcpEnd(TlsEnd):
    """The kernel's TCP alone, with a congestion control of its own."""

    def __init__(self, congestion: str) -> None:
        super().__init__()
        self._congestion = congestion

    async def _connect(self, kind: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await super()._connect(kind)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self._congestion.encode())
        return reader, writer

    def _server_context(self) -> ssl.SSLContext | None:
        return None

    def _client_context(self) -> ssl.SSLContext | None:
        return None


def server_context() -> ssl.SSLContext:
    """A certificate of nobody's."""
    identity = Identity.generate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        key = identity.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        Path(file.name).write_bytes(key + identity.certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(file.name)
    return context


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Play the host on one connection."""
    try:
        if await reader.readexactly(1) == b"e":
            while data := await reader.read(len(BLOCK)):
                writer.write(data)
        else:
            sink = Sink()
            while length := int.from_bytes(await reader.readexactly(LENGTH)):
                sink.take(await reader.readexactly(length))
            writer.write(sink.bytes.to_bytes(8))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()
