from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from atmosphere.turn.server.outlet import Outlet
from atmosphere.udp.socket import UdpSocket
from atmosphere.udp.window import Buffer

TO = ("203.0.113.1", 1)


class Narrow:
    """A socket that takes `room` datagrams."""

    def __init__(self) -> None:
        self.room = 0
        self.sent: list[bytes] = []
        self.wakes: list[Callable[[], None]] = []

    def send_pieces(self, pieces: Sequence[Buffer], segment: int, count: int, destination: tuple[str, int]) -> int:
        data = b"".join(pieces)
        parts = [data[place : place + segment] for place in range(0, len(data), segment)] if segment else [data]
        taken = parts[: self.room]
        self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def when_writable(self, callback: Callable[[], None]) -> None:
        self.wakes.append(callback)

    def opens(self, room: int) -> None:
        """The kernel has room again."""
        self.room = room
        self.wakes.pop()()


def made(each: int = 100, in_all: int = 1000) -> tuple[Narrow, Outlet]:
    sock = Narrow()
    return sock, Outlet(cast("UdpSocket", sock), each, in_all)


def test_at_once_while_there_is_room() -> None:
    sock, outlet = made()
    sock.room = 5
    outlet.send("a", (b"aa", b"aa", b"a"), 2, 3, TO)
    assert (sock.sent, sock.wakes, outlet.queued) == ([b"aa", b"aa", b"a"], [], 0)


def test_what_does_not_go_waits_in_order_and_users_take_turns() -> None:
    sock, outlet = made()
    sock.room = 1
    outlet.send("a", (b"a1", b"a2", b"a"), 2, 3, TO)
    outlet.send("a", (b"a3",), 2, 1, TO)
    outlet.send("b", (b"b1",), 2, 1, TO)
    assert (sock.sent, len(sock.wakes), outlet.queued) == ([b"a1"], 1, 7)
    sock.opens(1)
    assert (sock.sent, len(sock.wakes)) == ([b"a1", b"a2"], 1)
    sock.opens(9)
    assert sock.sent == [b"a1", b"a2", b"a", b"b1", b"a3"]
    assert (outlet.queued, outlet.dropped, sock.wakes) == (0, 0, [])


def test_a_full_queue_drops_and_counts() -> None:
    sock, outlet = made(each=4)
    outlet.send("a", (b"aa", b"aa"), 2, 2, TO)
    outlet.send("a", (b"bb", b"bb"), 2, 2, TO)
    outlet.send("b", (b"",), 0, 1, TO)
    assert (outlet.dropped, outlet.queued) == (2, 4)
    sock.opens(9)
    assert sock.sent == [b"aa", b"aa", b""]
