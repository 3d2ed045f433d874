"""The public helper in one program on one port: signaling, STUN, TURN over UDP, TCP, TLS and WebSocket, `/relay/…`."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import logging
import secrets
from collections.abc import Iterable

from atmosphere.errors import AtmosphereError, Unreachable
from atmosphere.ice.resolve import resolve
from atmosphere.network.relay_numbers import Numbers
from atmosphere.network.relay_places import Places
from atmosphere.network.relay_sessions import RelaySessions
from atmosphere.network.relay_settings import RelaySettings, is_literal, public_place
from atmosphere.network.relay_turn import RelayStun, RelayTurn
from atmosphere.network.stun_service import own_addresses
from atmosphere.tcp.hangup import HangUp
from atmosphere.tcp.port import TcpPort
from atmosphere.tcp.undecided import Accepted
from atmosphere.udp.socket import UdpSocket
from signaling.certificates import Certificates
from signaling.errors import CertificateError
from signaling.server import SignalingServer
from signaling.turn_credentials import TurnCredentialSource

logger = logging.getLogger(__name__)

LOOKUP_TIMEOUT = 2.0
TRIES = 16
"""Port numbers tried with port 0: one that is free for TCP may be taken for UDP."""


class RelayServer:
    """Everything a mesh needs of a public machine; `await start()`, `await stop()`, or `async with`.

    `host` is an address or several; without one, all of this machine's. `port` 0 takes a free one; `.port` tells which,
    for TCP and UDP. Everything else, and every limit, is in `settings`.
    """

    def __init__(
        self, host: str | Iterable[str] | None = None, port: int = 3478, *, settings: RelaySettings | None = None
    ) -> None:
        self.hosts = (host,) if isinstance(host, str) else None if host is None else tuple(host)
        self.port = port
        self.settings = settings or RelaySettings()
        self._secret = self.settings.secret or secrets.token_urlsafe(32)
        self._running: _Running | None = None

    @property
    def addresses(self) -> list[str]:
        """The addresses it listens on, best first."""
        return list(self._running.places.addresses) if self._running else []

    @property
    def places(self) -> Places:
        """The URLs and URIs under which nodes find it, once it listens."""
        return self._run().places

    def stats(self) -> dict[str, float]:
        """Every number of /stats."""
        return self._run().signaling.stats()

    def _run(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the relay server is not running")
        return self._running

    async def start(self) -> None:
        """Listen.

        Raises OSError where the port is taken, AtmosphereError for a certificate that cannot be used, ValueError for
        a `discovery` that was wanted without two addresses for it, ClusterError for a cluster that can never be.
        """
        for remaining in reversed(range(1 if self.port else TRIES)):
            running = _Running(self.settings, self._secret)
            try:
                await running.start(self.hosts, self.port)
            except BaseException as error:
                await running.stop(0.0)
                if not remaining or not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
                    raise
            else:
                self._running = running
                self.port = running.tcp.port
                return

    async def stop(self, drain: float = 0.0) -> None:
        """Ask nodes to go elsewhere and give them up to `drain` seconds for that, then close everything."""
        running, self._running = self._running, None
        if running is not None:
            await running.stop(drain)

    async def __aenter__(self) -> RelayServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class _Running:
    """One attempt at it, and when it succeeds the server itself."""

    def __init__(self, settings: RelaySettings, secret: str) -> None:
        self._settings = settings
        self._secret = secret
        certificates = _certificates(settings)
        trusted = settings.tcp.trusted_proxies or settings.signaling.trusted_proxies
        self.tcp = TcpPort(self, dataclasses.replace(settings.tcp, trusted_proxies=trusted), certificates)
        self.places = Places(settings, (), 0)
        self.signaling = SignalingServer()
        self._sockets: list[UdpSocket] = []
        self._stun: RelayStun | None = None
        self._turn: RelayTurn | None = None

    async def start(self, hosts: tuple[str, ...] | None, port: int) -> None:
        """Listen; raises OSError, and then `stop` tidies up."""
        await self.tcp.start(hosts, port)
        self._bind(hosts)
        addresses = [sock.address for sock in self._sockets]
        self.places = Places(self._settings, addresses, self.tcp.port, await _resolved(self._settings.public_host))
        self._stun = RelayStun(self.places, self._sockets)
        if self._settings.turn:
            self._turn = RelayTurn(self.places, self._secret)
            await self._turn.start(self._sockets, self._stun)
        else:
            self._stun.serve(self._sockets)
        self.signaling = self._make_signaling(self._turn)
        self.signaling.open()
        logger.info("relay on port %d", self.tcp.port)

    def _bind(self, hosts: tuple[str, ...] | None) -> None:
        """A UDP socket on each address, so that every answer leaves from the address that was asked."""
        # A host name may mean several addresses; the TCP port has found out which.
        for address in dict.fromkeys(address for address, _ in self.tcp.addresses) if hosts else own_addresses():
            try:
                self._sockets.append(UdpSocket.bind(address, self.tcp.port))
            except OSError as error:
                if hosts is not None or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                logger.info("not on %s: %s", address, error)

    def _make_signaling(self, turn: RelayTurn | None) -> SignalingServer:
        settings, uris = self._settings, self.places.turn
        sessions = RelaySessions(settings.sessions)
        own = settings.signaling
        return SignalingServer(
            dataclasses.replace(
                own,
                hosts=own.hosts or self.places.names,
                path_prefix=own.path_prefix or (public_place(settings.public_url).path if settings.public_url else ""),
            ),
            turn=TurnCredentialSource(uris, self._secret, settings.credentials_ttl) if uris else None,
            cluster=settings.cluster,
            routes=[sessions.route(), *([turn.route()] if turn else [])],
            sources=[Numbers(turn, sessions, self.tcp)],
        )

    async def stop(self, drain: float) -> None:
        """Drain, then close everything."""
        await self.signaling.drain(drain)
        await self.tcp.stop()
        if self._turn is not None:
            await self._turn.stop()
        await self.signaling.stop()
        if self._stun is not None:
            self._stun.close()
        for sock in self._sockets:
            sock.close()

    # what comes to the TCP port

    def turn(self, accepted: Accepted) -> asyncio.Protocol:
        """A stream of STUN and TURN messages."""
        return self._turn.stream(accepted) if self._turn is not None else HangUp()

    def http(self, accepted: Accepted) -> asyncio.Protocol:
        """HTTP; WebSockets over TLS only, where there is TLS."""
        websockets = accepted.secure or self.tcp.certificates is None or self._settings.plain
        return self.signaling.connection(websockets=websockets, client=accepted.client)


def _certificates(settings: RelaySettings) -> Certificates | None:
    if settings.tls_cert is None:
        return None
    try:
        return Certificates(settings.tls_cert, settings.tls_key)
    except CertificateError as error:
        raise AtmosphereError(str(error)) from error


async def _resolved(public_host: str | None) -> list[str]:
    """The addresses of the name that nodes use; none for a literal, or where it is not known yet."""
    if public_host is None or is_literal(public_host):
        return []
    try:
        return [address for address, _ in await resolve(public_host, 0, timeout=LOOKUP_TIMEOUT)]
    except Unreachable as error:
        logger.warning("relayed addresses are announced as they are here: %s", error)
        return []
