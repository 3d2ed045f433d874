"""A real Mosquitto on loopback: plain, TLS, WebSocket, WebSocket over TLS, and one door with a password."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.coturn import free_port

USER, PASSWORD = "anna", "correct-horse"


@dataclass
class Mosquitto:
    """The broker's URLs by kind (plain, tls, ws, wss, locked), and its process."""

    folder: Path
    urls: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.urls["plain"]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def start(self) -> None:
        """Run it until it listens."""
        self.process = await asyncio.create_subprocess_exec(
            *("mosquitto", "-c", str(self.folder / "mosquitto.conf")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self._draining = asyncio.ensure_future(self._drain(self.process.stdout, listening := asyncio.Event()))
        async with asyncio.timeout(20):
            await listening.wait()

    async def _drain(self, output: asyncio.StreamReader, listening: asyncio.Event) -> None:
        async for line in output:
            self.log.append(line.decode(errors="replace"))
            if b"running" in line:
                listening.set()

    async def stop(self) -> None:
        """Kill it, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            await self._draining
            self.process._transport.close()  # type: ignore[attr-defined]  # else it warns after the loop is closed
            self.process = None


def configuration(address: str, port: int) -> str:
    """A broker that anybody may use, and that keeps nothing on disk."""
    return "\n".join(("user root", "persistence false", "per_listener_settings true", *_open_door(address, port)))


def _open_door(address: str, port: int) -> tuple[str, ...]:
    return f"listener {port} {address}", "allow_anonymous true"


@asynccontextmanager
async def running_mosquitto(folder: Path, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[Mosquitto]:
    """Mosquitto for as long as the context lasts; with a certificate over TLS, too."""
    ports = {kind: free_port() for kind in ("plain", "ws", "locked", "tls", "wss")}
    passwords = folder / "passwords"
    await asyncio.to_thread(subprocess.run, ["mosquitto_passwd", "-b", "-c", passwords, USER, PASSWORD], check=True)
    lines = [configuration("127.0.0.1", ports["plain"])]
    lines += [*_open_door("127.0.0.1", ports["ws"]), "protocol websockets"]
    lines += [f"listener {ports['locked']} 127.0.0.1", "allow_anonymous false", f"password_file {passwords}"]
    if certificate is not None:
        files = [f"certfile {certificate[0]}", f"keyfile {certificate[1]}"]
        lines += [*_open_door("127.0.0.1", ports["tls"]), *files]
        lines += [*_open_door("127.0.0.1", ports["wss"]), "protocol websockets", *files]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    schemes = {"plain": "mqtt", "ws": "ws+mqtt", "locked": "mqtt", "tls": "mqtts", "wss": "wss+mqtt"}
    broker = Mosquitto(folder, {kind: f"{scheme}://127.0.0.1:{ports[kind]}" for kind, scheme in schemes.items()})
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()
