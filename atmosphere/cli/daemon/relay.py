"""The public helper: signaling over WebSocket and STUN over UDP, on one port number."""

from __future__ import annotations

import errno
import ssl
from dataclasses import dataclass
from typing import Any

from atmosphere.cli import units
from atmosphere.errors import AtmosphereError
from atmosphere.network import StunService
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
    """A signaling server and a STUN server; `start` and `stop` once each."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        self._signaling = self._make_signaling()
        self._stun = StunService()

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
                # A host name may mean several addresses; the signaling server has found out which.
                addresses = [address for address, _ in self._signaling.addresses] if settings.host else None
                self._stun = StunService(addresses, self.port)
                try:
                    await self._stun.start()
                    return
                except OSError:
                    await self._signaling.stop()
                    self._signaling = self._make_signaling()
                    if not remaining:
                        raise
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                hint = "stop the other program, or choose another port with --port"
                raise AtmosphereError(f"port {settings.port} is already in use", hint=hint) from error
            raise

    def _make_signaling(self) -> SignalingServer:
        settings = self._settings
        turn = TurnCredentialSource(settings.turn, settings.secret) if settings.turn and settings.secret else None
        return SignalingServer(turn=turn)

    async def stop(self) -> None:
        """Ask the nodes to go elsewhere, wait a moment for them, close everything."""
        await self._signaling.stop(drain=self._settings.drain)
        await self._stun.stop()

    def describe(self) -> dict[str, Any]:
        """Where it listens and what to give to nodes."""
        settings = self._settings
        public = settings.public_host or self._first_address()
        place = units.endpoint(public, self.port)
        scheme = "wss" if settings.tls_cert else "ws"
        return {
            "port": self.port,
            "addresses": [units.endpoint(address, self.port) for address in self._stun.addresses],
            "signaling": [f"{scheme}://{place}"],
            "stun": [f"stun:{place}"],
            "turn": list(settings.turn),
        }

    def _first_address(self) -> str:
        return next(iter(self._stun.addresses), "127.0.0.1")


def _tls(settings: RelaySettings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except ssl.SSLError as error:
        raise AtmosphereError(f"{settings.tls_cert} and its key cannot be used: {error}") from error
    return context
