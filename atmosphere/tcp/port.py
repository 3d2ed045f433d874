"""One listening TCP port for several protocols: the first byte of a connection says which (see kinds.py).

The port accepts by itself and peeks at the first byte, so that nothing has to be put back: TLS then finds its handshake
whole, and inside TLS the first byte decides again. A client that says nothing takes a place among the undecided for a
few seconds; of these there are so many in all and for one address, and not one more.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from atmosphere.tasks import Tasks
from atmosphere.tcp import tls_buffers
from atmosphere.tcp.kinds import kind_of
from atmosphere.tcp.undecided import Accepted, Address, Maker, Undecided
from signaling.certificates import Certificates
from signaling.limits import Seats, address_key
from signaling.listen import BACKLOG, listening_sockets
from signaling.proxies import TrustedProxies

logger = logging.getLogger(__name__)

ACCEPTS = 64
"""Connections accepted per wake, so that everything else gets its turn during a flood."""
PAUSE = 1.0
"""Seconds without accepting after the system had no descriptor or memory for one more."""


class Handlers(Protocol):
    """Who serves what comes to the port; each method makes the protocol for one connection."""

    def turn(self, accepted: Accepted) -> asyncio.Protocol:
        """A stream of STUN and TURN messages."""

    def http(self, accepted: Accepted) -> asyncio.Protocol:
        """HTTP requests."""


@dataclass(frozen=True)
class TcpSettings:
    """How many connections may be undecided (in all, of one IPv4 address or IPv6 /64), and for how many seconds."""

    undecided: int = 512
    undecided_per_address: int = 64
    deadline: float = 5.0
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) of proxies whose PROXY headers are believed."""


class TcpPort:
    """A port that `handlers` share; `start` and `stop` once each. With `certificates` it speaks TLS too.

    Connections are counted: `accepted`, `refused` (too many were undecided), `silent` (said nothing of use in time).
    """

    def __init__(
        self, handlers: Handlers, settings: TcpSettings | None = None, certificates: Certificates | None = None
    ) -> None:
        self.settings = settings or TcpSettings()
        self.deadline = self.settings.deadline
        self.proxies = TrustedProxies(self.settings.trusted_proxies)
        self.certificates = certificates
        if certificates is not None:
            tls_buffers.shrink()
        self.tasks = Tasks("tcp port")
        self.framed: Maker | None = None
        """Who makes the protocol for ICE over TCP, which is never inside TLS."""
        self.port = 0
        self.addresses: list[Address] = []
        self.accepted = self.refused = self.silent = 0
        self._handlers = handlers
        self._seats = Seats(self.settings.undecided, self.settings.undecided_per_address)
        self._undecided: set[Undecided] = set()
        self._sockets: list[socket.socket] = []
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}

    @property
    def undecided(self) -> int:
        """Connections of which nobody knows yet what they are."""
        return len(self._undecided)

    async def start(self, host: str | Sequence[str] | None = None, port: int = 0) -> None:
        """Listen; `host` None means every IPv4 and IPv6 address. Raises OSError."""
        self._sockets = await listening_sockets(host, port)
        try:
            for sock in self._sockets:
                sock.listen(BACKLOG)
        except OSError:
            await self.stop()
            raise
        self.addresses = [sock.getsockname()[:2] for sock in self._sockets]
        self.port = self.addresses[0][1]
        for sock in self._sockets:
            self._listen(sock)

    async def stop(self) -> None:
        """Accept nothing more, and cut who is undecided. Those that are decided are their handlers'. Twice is fine."""
        loop = asyncio.get_running_loop()
        for pause in self._pauses.values():
            pause.cancel()
        for sock in self._sockets:
            loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()
        for one in tuple(self._undecided):
            one.cut()
        await self.tasks.close()

    def _listen(self, sock: socket.socket) -> None:
        self._pauses.pop(sock, None)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._accept, sock)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listener, error)
                return
            self._meet(sock, (peer[0], peer[1]))

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        logger.warning("no connection is accepted for %g s: %s", PAUSE, error.strerror or error)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        self._pauses[listener] = loop.call_later(PAUSE, self._listen, listener)

    def _meet(self, sock: socket.socket, client: Address) -> None:
        self.accepted += 1
        # Who is behind a proxy is known when its header has come: until then it counts in all only.
        key = None if client[0] in self.proxies else address_key(client[0])
        if self._seats.take(key):
            self.refused += 1
            sock.close()
            return
        sock.setblocking(False)
        self._undecided.add(Undecided(self, sock, client, key))

    # what an undecided connection asks

    def maker(self, first: int) -> Maker | None:
        """Who makes the protocol for what begins with this byte."""
        kind = kind_of(first)
        if kind == "turn":
            return self._handlers.turn
        return self._handlers.http if kind == "http" else None

    def named(self, one: Undecided, key: str) -> bool:
        """A proxy says whose it is; False when too many of that client are undecided."""
        if self._seats.name(key):
            self.refused += 1
            one.seated = False
            return False
        one.key = key
        return True

    def settled(self, one: Undecided, *, silent: bool) -> None:
        """It is undecided no more; `silent` when its time was up."""
        self._undecided.discard(one)
        if one.seated:
            self._seats.leave(one.key)
        self.silent += silent
