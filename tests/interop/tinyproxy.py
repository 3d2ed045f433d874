"""A real tinyproxy on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.interop.coturn import free_port

USER, PASSWORD = "ben", "sword-fish"


@asynccontextmanager
async def running_tinyproxy(folder: Path, *connect_ports: int, authenticate: bool = False) -> AsyncIterator[int]:
    """tinyproxy that opens tunnels to `connect_ports`, for `USER` alone with `authenticate`; its port."""
    port = free_port()
    settings = folder / "tinyproxy.conf"
    credentials = (USER, PASSWORD) if authenticate else None
    settings.write_text(configuration(port, "127.0.0.1", *connect_ports, credentials=credentials))
    process = await asyncio.create_subprocess_exec(
        "tinyproxy", "-d", "-c", str(settings), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listening(port)
        yield port
    finally:
        process.terminate()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # else it warns after the loop is closed


def configuration(port: int, address: str, *connect_ports: int, credentials: tuple[str, str] | None = None) -> str:
    """What tinyproxy reads."""
    lines = [f"Port {port}", f"Listen {address}", "Timeout 600", "MaxClients 50", "LogLevel Info"]
    lines += [f"ConnectPort {connect_port}" for connect_port in connect_ports]
    lines += [f"BasicAuth {' '.join(credentials)}"] if credentials else []
    return "\n".join(lines) + "\n"


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return


@asynccontextmanager
async def over_tls(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """TLS in front of a proxy, as https:// proxies have it; the port of that."""
    connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        connections.update((writer, inner_writer))
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, inner_writer))
            group.create_task(_copy(inner_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]
        for writer in connections:
            with suppress(OSError):
                await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
