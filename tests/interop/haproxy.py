"""A real HAProxy on loopback, which balances over the ports of signaling servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

CONFIGURATION = """
defaults
  mode {mode}
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  timeout tunnel 1h
  timeout check 400ms
  retries 3
  option redispatch 1
frontend signaling
  bind fd@{fd}
  default_backend instances
backend instances
  balance roundrobin
  option httpchk GET /health
  http-check expect status 200
  default-server check inter 300ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


@contextlib.asynccontextmanager
async def haproxy(ports: Sequence[int], mode: str = "http") -> AsyncIterator[int]:
    """The port on which it takes connections for the servers; `mode` http or tcp. There is no stickiness."""
    with tempfile.TemporaryDirectory(prefix="atmosphere-haproxy-") as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        file = _configure(Path(folder), ports, mode, listener.fileno())
        process = await asyncio.create_subprocess_exec(
            *("haproxy", "-db", "-q", "-f", str(file)),
            pass_fds=[listener.fileno()],
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield listener.getsockname()[1]
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _configure(folder: Path, ports: Sequence[int], mode: str, descriptor: int) -> Path:
    servers = "\n".join(f"  server s{port} 127.0.0.1:{port}" for port in ports)
    file = folder / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(mode=mode, fd=descriptor, servers=servers))
    return file
