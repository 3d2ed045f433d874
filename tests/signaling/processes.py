"""Signaling servers as processes of their own, with what the system says of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

PATIENCE = 20.0
ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")

ROOMY: Mapping[str, float] = {
    "max_connections": 50_000,
    "handshakes_per_address": 20_000,
    "handshakes_per_address_burst": 50_000,
    "messages": 200_000,
    "messages_burst": 500_000,
    "messages_per_address": 100_000,
    "messages_per_address_burst": 200_000,
    "remembered_ids": 200_000,
}
"""Limits that do not get in the way of a measurement."""


class Process:
    """A running `python -m signaling`."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    @property
    def rss(self) -> int:
        """Bytes of resident memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE

    @property
    def cpu(self) -> float:
        """Seconds of processor so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def kill(self) -> None:
        """As a power cut does, but for the connections, which the system closes."""
        self.process.kill()


@contextlib.asynccontextmanager
async def server(*options: str, limits: Mapping[str, float] = ROOMY) -> AsyncIterator[Process]:
    """One server on loopback."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signaling", "--host", "127.0.0.1", "--port", "0", "--log-level", "warning"),
        *(f"--limit={name}={value}" for name, value in limits.items()),
        *options,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("READY ")
        yield Process(process, int(line.split()[1].rpartition(":")[2]))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
