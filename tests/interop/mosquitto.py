"""A real Mosquitto on loopback: plain, TLS, WebSocket, WebSocket over TLS, and one door with a password."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.interop.coturn import free_port

USER, PASSWORD = "anna", "correct-horse"


SCHEMES = {"plain": "mqtt", "ws": "ws+mqtt", "locked": "mqtt", "tls": "mqtts", "wss": "wss+mqtt"}

TRIES = 5
"""Ports that were free may be taken by others before the broker has them."""


class Mosquitto:
    """A broker in `folder`: its URLs by kind, what it said, and its process."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None) -> None:
        self.log: list[str] = []
        self.ports: dict[str, int] = {}
        self._folder = folder
        self._certificate = certificate
        self._process: asyncio.subprocess.Process | None = None

    @property
    def urls(self) -> dict[str, str]:
        return {kind: f"{SCHEMES[kind]}://127.0.0.1:{port}" for kind, port in self.ports.items()}

    @property
    def url(self) -> str:
        return self.urls["plain"]

    @property
    def port(self) -> int:
        return self.ports["plain"]

    async def first_start(self) -> None:
        """Find ports for it, and run it."""
        for _ in range(TRIES):
            self.ports = {kind: free_port() for kind in SCHEMES}
            if len(set(self.ports.values())) == len(SCHEMES) and await self.start():
                return
        raise AssertionError("".join(self.log))

    async def start(self) -> bool:
        """Run it until it listens, or has ended because it cannot."""
        file = self._folder / "mosquitto.conf"
        file.write_text(self._configuration())
        self._process = await asyncio.create_subprocess_exec(
            *("mosquitto", "-c", str(file)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        assert self._process.stdout is not None
        listening = asyncio.Event()
        self._draining = asyncio.ensure_future(self._drain(self._process.stdout, listening))
        waiting = asyncio.ensure_future(listening.wait())
        await asyncio.wait({waiting, self._draining}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not listening.is_set():
            await self.stop()
        return listening.is_set()

    def _configuration(self) -> str:
        lines = [configuration("127.0.0.1", self.ports["plain"])]
        lines += [*_open_door("127.0.0.1", self.ports["ws"]), "protocol websockets"]
        lines += [f"listener {self.ports['locked']} 127.0.0.1", f"password_file {self._folder}/passwords"]
        if self._certificate is not None:
            files = [f"certfile {self._certificate[0]}", f"keyfile {self._certificate[1]}"]
            lines += [*_open_door("127.0.0.1", self.ports["tls"]), *files]
            lines += [*_open_door("127.0.0.1", self.ports["wss"]), "protocol websockets", *files]
        return "\n".join(lines) + "\n"

    async def _drain(self, output: asyncio.StreamReader, listening: asyncio.Event) -> None:
        async for line in output:
            self.log.append(line.decode(errors="replace"))
            if b"running" in line:
                listening.set()

    async def stop(self) -> None:
        """Kill it, as a power cut would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            await self._draining
            self._process._transport.close()  # type: ignore[attr-defined]  # else it warns after the loop is closed
            self._process = None


def configuration(address: str, port: int) -> str:
    """A broker that anybody may use, and that keeps nothing on disk."""
    return "\n".join(("user root", "persistence false", "per_listener_settings true", *_open_door(address, port)))


def _open_door(address: str, port: int) -> tuple[str, ...]:
    return f"listener {port} {address}", "allow_anonymous true"


@contextlib.asynccontextmanager
async def running_mosquitto(folder: Path, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[Mosquitto]:
    """Mosquitto for as long as the context lasts; with a certificate over TLS, too."""
    command = ("mosquitto_passwd", "-b", "-c", str(folder / "passwords"), USER, PASSWORD)
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
    broker = Mosquitto(folder, certificate)
    try:
        await broker.first_start()
        yield broker
    finally:
        await broker.stop()
