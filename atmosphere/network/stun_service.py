"""A STUN server on real sockets: tells whoever asks how it sees them."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterable

from atmosphere.stun.server import BindingServer
from atmosphere.udp.addresses import local_addresses
from atmosphere.udp.socket import UdpSocket

logger = logging.getLogger(__name__)


class StunService:
    """STUN Binding over UDP (RFC 8489) on `host` and `port`; `await start()`, `await stop()`, or `async with`.

    `host` is an address or several; without one, all of this machine's. Each has a socket of its own, so that every
    answer leaves from the address that was asked. `port` 0 takes a free one; `.port` tells which.
    """

    def __init__(self, host: str | Iterable[str] | None = None, port: int = 3478) -> None:
        self.hosts = (host,) if isinstance(host, str) else None if host is None else tuple(host)
        self.port = port
        self._server = BindingServer()
        self._sockets: list[UdpSocket] = []

    @property
    def answered(self) -> int:
        """Requests answered so far."""
        return self._server.answered

    @property
    def addresses(self) -> list[str]:
        """The addresses it listens on."""
        return [socket.address for socket in self._sockets]

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken or an address that was given is not ours."""
        try:
            for address in self.hosts or _own_addresses():
                self._listen(address)
        except OSError:
            await self.stop()
            raise
        logger.info("STUN on port %d", self.port)

    async def stop(self) -> None:
        """Stop listening. Twice is fine."""
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
        loop = asyncio.get_running_loop()

        def received(data: bytes, source: tuple[str, int]) -> None:
            answer = self._server.receive(data, source, loop.time())
            if answer is not None:
                socket.send(answer, source)

        socket.on_datagram = received
        self._sockets.append(socket)


def _own_addresses() -> list[str]:
    return list(dict.fromkeys([*(found.address for found in local_addresses()), "127.0.0.1", "::1"]))
