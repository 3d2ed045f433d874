"""The public helper: signaling over WebSocket and STUN over UDP, on one port number."""

from __future__ import annotations

import asyncio
import errno
import ssl
from dataclasses import dataclass
from typing import Any

from atmosphere.cli import units
from atmosphere.errors import AtmosphereError
from atmosphere.stun.server import BindingServer
from atmosphere.udp.addresses import local_addresses
from atmosphere.udp.socket import Address, UdpSocket
from signaling.server import SignalingServer
from signaling.turn_credentials import TurnCredentialSource

TRIES = 16
"""Port numbers tried with port 0: one that is free for TCP may be taken for UDP."""


@dataclass(frozen=True)
class RelaySettings:
    """What `atmosphere relay` was told."""

    port: int = 3478
    host: str | None = None
    public_host: str | None = None
    secret: str | None = None
    turn: tuple[str, ...] = ()
    tls_cert: str | None = None
    tls_key: str | None = None
    drain: float = 5.0


class Relay:
    """A signaling server and STUN sockets; `start` and `stop` once each."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        turn = TurnCredentialSource(settings.turn, settings.secret) if settings.turn and settings.secret else None
        self._signaling = SignalingServer(turn=turn)
        self._stun = BindingServer()
        self._sockets: list[UdpSocket] = []

    @property
    def port(self) -> int:
        """The port of both protocols."""
        return self._signaling.port

    async def start(self) -> None:
        """Listen; raises AtmosphereError when the port is taken."""
        settings = self._settings
        try:
            context = _tls(settings)
            for remaining in reversed(range(1 if settings.port else TRIES)):
                await self._signaling.start(settings.host, settings.port, ssl_context=context)
                try:
                    self._bind_stun()
                    return
                except OSError:
                    await self._abandon()
                    if not remaining:
                        raise
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                hint = "stop the other program, or choose another port with --port"
                raise AtmosphereError(f"port {settings.port} is already in use", hint=hint) from error
            raise

    async def _abandon(self) -> None:
        await self._signaling.stop()
        turn = self._settings.turn and self._settings.secret
        source = TurnCredentialSource(self._settings.turn, self._settings.secret or "") if turn else None
        self._signaling = SignalingServer(turn=source)

    def _bind_stun(self) -> None:
        """One socket an address, so that every answer leaves from the address that was asked."""
        for address in self._addresses():
            try:
                opened = UdpSocket.bind(address, self.port)
            except OSError as error:
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and self._settings.host is None:
                    continue
                self._close_stun()
                raise
            opened.on_datagram = self._receiver(opened)
            self._sockets.append(opened)

    def _addresses(self) -> list[str]:
        if self._settings.host is not None:
            return [address for address, _ in self._signaling.addresses]
        return list(dict.fromkeys([*(found.address for found in local_addresses()), "127.0.0.1", "::1"]))

    def _receiver(self, sock: UdpSocket) -> Any:
        loop = asyncio.get_running_loop()

        def received(data: bytes, source: Address) -> None:
            answer = self._stun.receive(data, source, loop.time())
            if answer is not None:
                sock.send(answer, source)

        return received

    def _close_stun(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    async def stop(self) -> None:
        """Ask the nodes to go elsewhere, wait a moment for them, close everything."""
        await self._signaling.stop(drain=self._settings.drain)
        self._close_stun()

    def describe(self) -> dict[str, Any]:
        """Where it listens and what to give to nodes."""
        settings = self._settings
        public = settings.public_host or self._first_address()
        place = units.endpoint(public, self.port)
        scheme = "wss" if settings.tls_cert else "ws"
        return {
            "port": self.port,
            "addresses": [units.endpoint(sock.address, sock.port) for sock in self._sockets],
            "signaling": [f"{scheme}://{place}"],
            "stun": [f"stun:{place}"],
            "turn": list(settings.turn),
        }

    def _first_address(self) -> str:
        return self._sockets[0].address if self._sockets else "127.0.0.1"


def _tls(settings: RelaySettings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except ssl.SSLError as error:
        raise AtmosphereError(f"{settings.tls_cert} and its key cannot be used: {error}") from error
    return context
