"""A STUN server on real sockets: tells whoever asks how it sees them, and what their NAT does."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterable, Mapping

from atmosphere.network.stun_discovery import open_discovery
from atmosphere.stun.server import BindingServer
from atmosphere.stun.sockets import DiscoverySockets
from atmosphere.udp.addresses import local_addresses
from atmosphere.udp.socket import UdpSocket

logger = logging.getLogger(__name__)


class StunService:
    """STUN Binding over UDP (RFC 8489) on `host` and `port`; `await start()`, `await stop()`, or `async with`.

    `host` is an address or several; without one, all of this machine's. Each has a socket of its own, so that every
    answer leaves from the address that was asked. `port` 0 takes a free one; `.port` tells which.

    With two addresses of a family it also tells clients what their NAT does (RFC 5780), out of a second port:
    `other_port`, by default the next one, 0 for any. `discovery` says whether: where it has two public addresses
    (None), with any two of a kind (True; `start` raises ValueError where there are none), or not at all (False).
    `public` maps local addresses to those that clients see, for a server behind a 1:1 NAT.
    """

    def __init__(
        self,
        host: str | Iterable[str] | None = None,
        port: int = 3478,
        *,
        discovery: bool | None = None,
        other_port: int | None = None,
        public: Mapping[str, str] | None = None,
    ) -> None:
        self.hosts = (host,) if isinstance(host, str) else None if host is None else tuple(host)
        self.port = port
        self._wants = discovery
        self._other_port = other_port
        self._public = dict(public or {})
        self._server = BindingServer()
        self._sockets: list[UdpSocket] = []
        self._discovery: list[DiscoverySockets] = []

    @property
    def answered(self) -> int:
        """Requests answered so far."""
        return self._server.answered

    @property
    def addresses(self) -> list[str]:
        """The addresses it listens on."""
        return [socket.address for socket in self._sockets]

    @property
    def others(self) -> list[tuple[str, int]]:
        """Where clients see its second ports: two for each family that it does RFC 5780 in, none for none."""
        return [address for sockets in self._discovery for address in sockets.other]

    async def start(self) -> None:
        """Listen. Raises OSError where a port is taken or an address that was given is not ours."""
        try:
            for address in self.hosts or own_addresses():
                self._listen(address)
            self._discovery = open_discovery(
                self._server, self._sockets, self._public, wanted=self._wants, port=self._other_port
            )
        except (OSError, ValueError):
            await self.stop()
            raise
        logger.info("STUN on port %d%s", self.port, ", with RFC 5780" if self._discovery else "")

    async def stop(self) -> None:
        """Stop listening. Twice is fine."""
        for pair in self._discovery:
            pair.close()
        self._discovery.clear()
        for socket in self._sockets:
            socket.close()
        self._sockets.clear()

    async def __aenter__(self) -> StunService:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _listen(self, address: str) -> None:
        try:
            socket = UdpSocket.bind(address, self.port)
        except OSError as error:
            if self.hosts is None and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                logger.info("no STUN on %s: %s", address, error)
                return
            raise
        self.port = socket.port
        socket.on_datagram = lambda data, source: self._received(socket, data, source)
        self._sockets.append(socket)

    def _received(self, socket: UdpSocket, data: bytes, source: tuple[str, int]) -> None:
        if any(pair.receive(socket, data, source) for pair in self._discovery):
            return
        answer = self._server.receive(data, source, asyncio.get_running_loop().time())
        if answer is not None:
            socket.send(answer, source)


def own_addresses() -> list[str]:
    """This machine's addresses, best first, loopback last."""
    return list(dict.fromkeys([*(found.address for found in local_addresses()), "127.0.0.1", "::1"]))
