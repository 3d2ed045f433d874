"""One accepted connection from its acceptance until it is known what it speaks, or until its time is up."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, cast

from atmosphere.errors import DecodeError
from atmosphere.tasks import Tasks
from atmosphere.tcp.kinds import FRAMED_BEGINNING, is_framed, kind_of
from atmosphere.tcp.proxy_header import MAX_HEADER, may_begin, proxy_header
from signaling.certificates import Certificates
from signaling.limits import address_key
from signaling.proxies import TrustedProxies

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT = 2.0
LOOK_AGAIN, LOOK_SELDOM = 0.05, 1.0
"""Seconds until a connection that has said too little is looked at again: at first, doubling, and at the most. Hundreds
may say one byte each, and wait."""

Address = tuple[str, int]


@dataclass(frozen=True)
class Accepted:
    """A connection whose protocol is known: over TLS or not, and who is at its ends."""

    secure: bool
    client: Address
    local: Address


Maker = Callable[[Accepted], asyncio.Protocol]


class Port(Protocol):
    """What an undecided connection needs of the port it came to."""

    @property
    def certificates(self) -> Certificates | None:
        """For TLS, where there is TLS."""

    @property
    def deadline(self) -> float:
        """Seconds it has to show what it is."""

    @property
    def tasks(self) -> Tasks:
        """Who owns its tasks."""

    @property
    def proxies(self) -> TrustedProxies:
        """Who is believed about the clients behind it."""

    @property
    def framed(self) -> Maker | None:
        """Who makes the protocol for ICE over TCP; None where there is none."""

    def maker(self, first: int) -> Maker | None:
        """Who makes the protocol for what begins with this byte."""

    def named(self, one: Undecided, key: str) -> bool:
        """A proxy says whose it is; False when it has no place."""

    def settled(self, one: Undecided, *, silent: bool) -> None:
        """It is undecided no more; `silent` when its time was up."""


class Undecided:
    """Peeks at the first byte of `sock`, through TLS where there is TLS, and gives the connection to its handler.

    `seated` is whether it has a place at the port, which is counted for `key`.
    """

    def __init__(self, port: Port, sock: socket.socket, client: Address, key: str | None) -> None:
        self.key = key
        self.seated = True
        self._port = port
        self._sock = sock
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._settled = False
        self._look_after = LOOK_AGAIN
        self._proxied = client[0] in port.proxies
        self._timer = self._loop.call_later(port.deadline, self._give_up)
        self._loop.add_reader(sock.fileno(), self._look)

    def cut(self, *, silent: bool = False) -> None:
        """End it, unless it is somebody's already."""
        if self._settle(silent=silent):
            self._close()

    def _settle(self, *, silent: bool = False) -> bool:
        """It is undecided no more; False when that is not new."""
        if self._settled:
            return False
        self._settled = True
        self._timer.cancel()
        self._port.settled(self, silent=silent)
        return True

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif self._task is not None:
            self._task.cancel()  # the socket is the handshake's until this has ended it
        elif self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _give_up(self) -> None:
        self.cut(silent=True)

    def _look(self) -> None:
        try:
            first = self._sock.recv(MAX_HEADER if self._proxied else FRAMED_BEGINNING, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if self._proxied and first and may_begin(first):
            self._take_header(first)
        else:
            self._decide(first)

    def _take_header(self, data: bytes) -> None:
        """Read the PROXY header, and nothing beyond it."""
        try:
            header = proxy_header(data)
        except DecodeError:
            self.cut()
            return
        if header is None:
            self._look_again()
            return
        self._sock.recv(header.size)
        self._proxied = False
        if header.client is not None:
            self._client = header.client
            if not self._port.named(self, address_key(header.client[0])):
                self.cut()

    def _look_again(self) -> None:
        """The rest is on its way, and what is here would wake us again at once."""
        self._loop.remove_reader(self._sock.fileno())
        self._loop.call_later(self._look_after, self._wait)
        self._look_after = min(2 * self._look_after, LOOK_SELDOM)

    def _wait(self) -> None:
        if not self._settled:
            self._loop.add_reader(self._sock.fileno(), self._look)

    def _decide(self, first: bytes) -> None:
        kind = kind_of(first[0]) if first else None
        if kind == "tls" and self._port.certificates is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._spawn(self._secure(self._port.certificates.context()), "TLS")
            return
        framed = is_framed(first) if kind == "turn" and self._port.framed is not None else False
        if framed is None:
            self._look_again()
            return
        make = self._port.framed if framed else self._port.maker(first[0]) if first else None
        if make is None:
            self.cut()
            return
        self._loop.remove_reader(self._sock.fileno())
        self._settle()
        self._spawn(self._hand_over(make), "hand over")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._task = self._port.tasks.spawn(work, name)
        if self._task is None:
            self._sock.close()
        else:
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # perhaps before it began
            self._sock.close()

    async def _hand_over(self, make: Maker) -> None:
        try:
            accepted = Accepted(secure=False, client=self._client, local=self._sock.getsockname()[:2])
            await self._loop.connect_accepted_socket(lambda: make(accepted), self._sock)
        except OSError as error:
            logger.debug("%s went before it was served: %s", self._client[0], error)
            self._sock.close()

    async def _secure(self, context: ssl.SSLContext) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: _FirstByte(self),
                self._sock,
                ssl=context,
                ssl_handshake_timeout=self._port.deadline,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            )
        except OSError as error:  # of the network, and every ssl.SSLError
            logger.debug("no TLS with %s: %s", self._client[0], error)
            self.cut()

    def secured(self, transport: asyncio.Transport) -> None:
        """The TLS handshake is done."""
        self._transport = transport
        if self._settled:
            transport.abort()

    def first_data(self, transport: asyncio.Transport, data: bytes) -> None:
        """The first bytes inside TLS are here: its protocol takes over."""
        make = self._port.maker(data[0])
        if make is None:
            self.cut()
        elif self._settle():
            protocol = make(Accepted(secure=True, client=self._client, local=transport.get_extra_info("sockname")[:2]))
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            protocol.data_received(data)


class _FirstByte(asyncio.Protocol):
    """Waits inside TLS for the first bytes."""

    def __init__(self, owner: Undecided) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._owner.secured(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._owner.first_data(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.cut()
