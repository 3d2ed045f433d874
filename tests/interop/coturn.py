"""A real coturn on loopback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD, SECRET = "anna", "correct-horse", "shared-secret"


@dataclass
class Coturn:
    """A running server: its port, and its process to stop it early."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def stun(self) -> str:
        return f"stun:127.0.0.1:{self.port}"

    def turn(self, transport: str = "", user: str = USER, password: str = PASSWORD) -> str:
        query = f"?transport={transport}" if transport else ""
        return f"turn:{user}:{password}@127.0.0.1:{self.port}{query}"

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


def rest_credentials(lifetime: float = 3600, user: str = "anna") -> tuple[str, str]:
    """coturn's REST form: user name `expiry:id`, password base64(HMAC-SHA1(secret, user name))."""
    username = f"{int(time.time() + lifetime)}:{user}"
    digest = hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


@asynccontextmanager
async def running_coturn(
    folder: Path, *, rest: bool = False, port: int = 0, certificate: tuple[Path, Path] | None = None
) -> AsyncIterator[Coturn]:
    """coturn for static users or, with `rest`, for time-limited credentials; with a certificate over TLS, too."""
    port = port or free_port()
    tls = ["--no-tls"] if certificate is None else [f"--cert={certificate[0]}", f"--pkey={certificate[1]}"]
    users = ["--use-auth-secret", f"--static-auth-secret={SECRET}"] if rest else [f"--user={USER}:{PASSWORD}"]
    process = await asyncio.create_subprocess_exec(
        "turnserver",
        "-n",
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        f"--listening-port={port}",
        "--realm=tests",
        "--lt-cred-mech",
        *users,
        "--allow-loopback-peers",
        *tls,
        f"--tls-listening-port={port}",
        "--no-dtls",
        "--no-cli",
        "--verbose",
        "--relay-threads=1",
        "--log-file=stdout",
        f"--pidfile={folder}/turnserver.pid",
        f"--userdb={folder}/turndb",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    drain = asyncio.ensure_future(_wait_and_drain(process, ready := asyncio.Event()))
    coturn = Coturn(port, process)
    try:
        await asyncio.wait_for(ready.wait(), 20)
        yield coturn
    finally:
        await coturn.stop()
        await drain
        process._transport.close()  # type: ignore[attr-defined]  # else it warns after the loop is closed


async def _wait_and_drain(process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
    assert process.stdout is not None
    listeners = set()
    async for line in process.stdout:
        for kind in (b"UDP listener opened", b"TCP listener opened"):
            if kind in line:
                listeners.add(kind)
        if len(listeners) == 2:
            ready.set()


def free_port() -> int:
    """A port that is free over UDP and TCP now."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(("127.0.0.1", udp.getsockname()[1]))
            except OSError:
                continue
            return int(udp.getsockname()[1])
