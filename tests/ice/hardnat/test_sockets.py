"""Many sockets at once, on loopback."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from atmosphere.ice.hardnat import sockets as module
from atmosphere.ice.hardnat.sockets import FEWER, RESERVE, OpenSockets, room_for
from atmosphere.udp.socket import UdpSocket

Came = tuple[int, bytes, tuple[str, int]]


async def test_datagrams_come_and_go_by_number() -> None:
    came: asyncio.Queue[Came] = asyncio.Queue()
    there = UdpSocket.bind("127.0.0.1")
    there.on_datagram = lambda data, source: there.send(b"re: " + data, source)
    sockets = OpenSockets("127.0.0.1", 5, lambda *args: came.put_nowait(args))
    try:
        assert len(sockets) == len(set(sockets.ports)) == 5
        sockets.send(3, b"hello", ("127.0.0.1", there.port))
        sockets.send(9, b"nobody", ("127.0.0.1", there.port))
        assert await asyncio.wait_for(came.get(), 5) == (3, b"re: hello", ("127.0.0.1", there.port))
    finally:
        sockets.close()
        sockets.close()
        there.close()
    assert not len(sockets)


async def test_the_first_sockets_have_the_wanted_ports() -> None:
    taken = UdpSocket.bind("127.0.0.1")
    free = UdpSocket.bind("127.0.0.1")
    free.close()
    sockets = OpenSockets("127.0.0.1", 3, lambda *args: None, [free.port, taken.port])
    assert sockets.ports[0] == free.port
    assert taken.port not in sockets.ports
    assert len(sockets) == 3
    sockets.close()
    taken.close()


async def test_a_ttl_is_for_one_datagram_only() -> None:
    sockets = OpenSockets("127.0.0.1", 1, lambda *args: None)
    usual = sockets._open[0].getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
    sockets.send(0, b"x", ("127.0.0.1", 9), ttl=5)
    assert sockets._open[0].getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == usual
    sockets.send(0, b"x" * 70000, ("127.0.0.1", 9), ttl=5)
    assert sockets._open[0].getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == usual, "it could not be sent"
    sockets.close()


async def test_what_cannot_be_sent_is_forgotten() -> None:
    sockets = OpenSockets("127.0.0.1", 1, lambda *args: None)
    sockets.send(0, b"x" * 70000, ("127.0.0.1", 9))
    sockets.send(0, b"x", ("127.0.0.1", 70000))
    sockets.close()


async def test_a_socket_that_was_taken_is_not_closed() -> None:
    sockets = OpenSockets("127.0.0.1", 2, lambda *args: None)
    taken = sockets.take(1)
    assert taken is not None
    assert sockets.take(1) is None
    sockets.close()
    assert taken.getsockname()[1] == sockets.ports[1]
    taken.close()


async def test_a_receiver_may_take_the_socket_it_hears() -> None:
    """Two datagrams wait: after the first, the socket is somebody else's to read."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    taken: list[socket.socket | None] = []

    def received(number: int, data: bytes, source: tuple[str, int]) -> None:
        taken.append(sockets.take(number))
        heard.put_nowait(data)

    sockets = OpenSockets("127.0.0.1", 1, received)
    there = UdpSocket.bind("127.0.0.1")
    for data in (b"one", b"two"):
        there.send(data, ("127.0.0.1", sockets.ports[0]))
    assert await asyncio.wait_for(heard.get(), 5) == b"one"
    there.close()
    assert taken[0] is not None
    assert taken[0].recv(10) == b"two"
    taken[0].close()


async def test_an_icmp_answer_is_read_away() -> None:
    sockets = OpenSockets("127.0.0.1", 1, lambda *args: None)
    refusing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    refusing.bind(("127.0.0.1", 0))
    nobody = refusing.getsockname()
    refusing.close()
    raw = sockets._open[0]
    raw.connect(nobody)
    raw.send(b"x")
    sockets._readable(0, raw)
    assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    sockets.close()


def test_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, room in ((RESERVE + 256, 256), (RESERVE + 255, FEWER), (RESERVE + FEWER - 1, 0)):
        monkeypatch.setattr(module, "_free_descriptors", lambda free=free: free)
        assert room_for(256) == room
    monkeypatch.undo()
    assert module._free_descriptors() > 0
    assert module._used_descriptors(["/nowhere"]) == RESERVE


def test_a_limit_of_none_is_plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert room_for(256) == 256
    monkeypatch.setattr("sys.platform", "win32")
    assert room_for(256) == 256


async def test_an_address_that_is_not_ours_gives_no_sockets() -> None:
    sockets = OpenSockets("192.0.2.1", 4, lambda *args: None)
    assert len(sockets) == 0


async def test_a_system_that_gives_no_socket_is_lived_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> socket.socket:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(socket, "socket", refuse)
    assert module._bind("127.0.0.1") is None
