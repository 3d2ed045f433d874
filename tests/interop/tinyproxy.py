"""A real tinyproxy on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.interop.coturn import free_port

USER, PASSWORD = "ben", "sword-fish"


@asynccontextmanager
async def running_tinyproxy(folder: Path, *connect_ports: int, authenticate: bool = False) -> AsyncIterator[int]:
    """tinyproxy that opens tunnels to `connect_ports`, for `USER` alone with `authenticate`; its port."""
    port = free_port()
    settings = folder / "tinyproxy.conf"
    settings.write_text(configuration(port, "127.0.0.1", *connect_ports, authenticate=authenticate))
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


def configuration(port: int, address: str, *connect_ports: int, authenticate: bool = False) -> str:
    """What tinyproxy reads."""
    lines = [f"Port {port}", f"Listen {address}", "Timeout 600", "MaxClients 50", "LogLevel Connect"]
    lines += [f"ConnectPort {connect_port}" for connect_port in connect_ports]
    lines += [f"BasicAuth {USER} {PASSWORD}"] if authenticate else []
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
