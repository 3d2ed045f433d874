"""A STUN server on loopback that says what the test wants."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from atmosphere.stun.message import binding_response, decode, encode
from atmosphere.udp.socket import UdpSocket

Address = tuple[str, int]


class FakeStun:
    """Answers each new socket with the next of `ports`; `drops(number)` leaves its n-th question unanswered."""

    def __init__(self, ports: Callable[[int], int] = lambda number: 4000 + number) -> None:
        self.socket = UdpSocket.bind("127.0.0.1")
        self.socket.on_datagram = self._received
        self.drops: Callable[[int], bool] = lambda number: False
        self.asked = 0
        self.spoils = False
        self._ports = ports
        self._given: dict[Address, int] = {}
        self._numbers = itertools.count()

    @property
    def address(self) -> Address:
        return ("127.0.0.1", self.socket.port)

    def _received(self, data: bytes, source: Address) -> None:
        self.asked += 1
        if source not in self._given:
            self._given[source] = self._ports(next(self._numbers))
        if self.spoils:
            self.socket.send(b"\x00not stun", source)
            strange = encode(binding_response(decode(data), ("203.0.113.9", 9)))
            self.socket.send(strange[:8] + bytes(12) + strange[20:], source)
        if not self.drops(self.asked):
            self.socket.send(encode(binding_response(decode(data), ("203.0.113.1", self._given[source]))), source)

    def close(self) -> None:
        self.socket.close()
