"""RFC 5780 on real sockets: the shell around `stun.discovery`, with the loop's clock.

Two sockets of the owner's, on two addresses and one port, and two more on a second port that are opened here, answer
as one server. The owner goes on reading its own two, for it has other things on them, and hands over what is STUN.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping
from types import MappingProxyType

from atmosphere.stun.discovery import Corner, DiscoveryServer
from atmosphere.stun.server import BindingServer
from atmosphere.udp.socket import UdpSocket

Address = tuple[str, int]

TRIES = 16
"""Port numbers tried where any will do: one that is free on one address may be taken on the other."""
_BINDING_REQUEST = b"\x00\x01"
_NOBODY: Mapping[str, str] = MappingProxyType({})


class DiscoverySockets:
    """Answers from four sockets: the owner's `main` two and two on `port` (0: any), which `close` closes again.

    `public` maps a local address to the one that clients see it at, where a 1:1 NAT stands between. Raises OSError
    where the second port is taken, ValueError where the two are not two addresses of one family on one port.
    """

    def __init__(
        self,
        server: BindingServer,
        main: tuple[UdpSocket, UdpSocket],
        port: int = 0,
        *,
        public: Mapping[str, str] = _NOBODY,
    ) -> None:
        first, second = main
        if first.port != second.port:
            raise ValueError("discovery needs one port on both addresses")
        self._alternate = _open(first.address, second.address, port)
        self.port = self._alternate[0].port
        addresses = (public.get(first.address, first.address), public.get(second.address, second.address))
        try:
            self._server = DiscoveryServer(addresses, (first.port, self.port), server)
        except ValueError:
            self.close()
            raise
        self._corners: tuple[tuple[UdpSocket, ...], ...] = tuple(zip(main, self._alternate, strict=True))
        self._loop = asyncio.get_running_loop()
        for index, socket in enumerate(self._alternate):
            self._listen(socket, (index, 1))

    @property
    def other(self) -> tuple[Address, Address]:
        """Where clients see the two sockets of the second port."""
        return self._server.address((0, 1)), self._server.address((1, 1))

    def receive(self, socket: UdpSocket, data: bytes, source: Address) -> bool:
        """Answer a datagram that came in at one of the owner's two sockets; False: it came in at another one."""
        for index in (0, 1):
            if self._corners[index][0] is socket:
                self._answer((index, 0), data, source)
                return True
        return False

    def receive_burst(self, socket: UdpSocket, data: bytes, segment: int, source: Address) -> bool:
        """`receive` for a burst of datagrams of `segment` bytes that are Binding requests all; else False.

        What else comes with them is the owner's, and so then is the burst: it can answer them without this.
        """
        if data[:2] != _BINDING_REQUEST:
            return False
        parts = [data[start : start + segment] for start in range(0, len(data), segment)]
        return all(part[:2] == _BINDING_REQUEST for part in parts) and all(
            self.receive(socket, part, source) for part in parts
        )

    def close(self) -> None:
        """Close the two sockets that were opened here. Twice is fine."""
        for socket in self._alternate:
            socket.close()

    def _listen(self, socket: UdpSocket, corner: Corner) -> None:
        socket.on_datagram = lambda data, source: self._answer(corner, data, source)

    def _answer(self, corner: Corner, data: bytes, source: Address) -> None:
        reply = self._server.receive(data, source, corner, self._loop.time())
        if reply is not None:
            address, port = reply.corner
            self._corners[address][port].send(reply.datagram, reply.destination)


def _open(first: str, second: str, port: int) -> tuple[UdpSocket, UdpSocket]:
    """A socket on each address, both on `port`, or on any port that is free on both."""
    for remaining in reversed(range(1 if port else TRIES)):
        socket = UdpSocket.bind(first, port)
        try:
            return socket, UdpSocket.bind(second, socket.port)
        except OSError as error:
            socket.close()
            if error.errno != errno.EADDRINUSE or not remaining:
                raise
    raise AssertionError
