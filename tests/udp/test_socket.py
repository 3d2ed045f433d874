from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from atmosphere.udp.socket import DRAIN, UdpSocket


class Inbox:
    """Collects datagrams and wakes whoever waits for the n-th."""

    def __init__(self) -> None:
        self.items: list[tuple[bytes, tuple[str, int]]] = []
        self._event = asyncio.Event()

    def __call__(self, data: bytes, source: tuple[str, int]) -> None:
        self.items.append((data, source))
        self._event.set()

    async def count(self, n: int) -> None:
        async with asyncio.timeout(5):
            while len(self.items) < n:
                self._event.clear()
                await self._event.wait()


@asynccontextmanager
async def pair(address: str = "127.0.0.1") -> AsyncIterator[tuple[UdpSocket, UdpSocket, Inbox]]:
    """A sender, a receiver, and the receiver's inbox."""
    a, b, inbox = UdpSocket.bind(address), UdpSocket.bind(address), Inbox()
    b.on_datagram = inbox
    try:
        yield a, b, inbox
    finally:
        a.close()
        b.close()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


IPV6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", 4), pytest.param("::1", 6, marks=IPV6)])
async def test_a_datagram_arrives(address: str, family: int) -> None:
    async with pair(address) as (a, b, inbox):
        assert (b.address, b.family) == (address, family)
        a.send(b"hello", (b.address, b.port))
        await inbox.count(1)
        assert inbox.items == [(b"hello", (address, a.port))]
        assert (a.sent, a.bytes_sent, b.received, b.bytes_received) == (1, 5, 1, 5)


async def test_more_than_one_wakes_worth_arrives_in_order() -> None:
    async with pair() as (a, b, inbox):
        for n in range(DRAIN * 3):
            a.send(n.to_bytes(2), (b.address, b.port))
        await inbox.count(DRAIN * 3)
        assert [int.from_bytes(data) for data, _ in inbox.items] == list(range(DRAIN * 3))


async def test_one_wake_reads_a_bounded_number() -> None:
    async with pair() as (a, b, inbox):
        for _ in range(DRAIN + 1):
            a.send(b"x", (b.address, b.port))
        b._readable()
        assert len(inbox.items) == DRAIN
        await inbox.count(DRAIN + 1)


async def test_empty_and_largest_datagrams() -> None:
    async with pair() as (a, b, inbox):
        a.send(b"", (b.address, b.port))
        a.send(bytes(65507), (b.address, b.port))
        await inbox.count(2)
        assert [len(data) for data, _ in inbox.items] == [0, 65507]


@pytest.mark.parametrize(
    "destination",
    [
        ("::1", 9),
        ("host.invalid", 9),
        ("127.0.0.1", 0),
        ("127.0.0.1", 65536),
        ("127.0.0.1", -1),
        ("127.0.0.1\0", 9),
        ("", 9),
        ("255.255.255.255", 9),
    ],
)
async def test_what_cannot_be_sent_is_counted(destination: tuple[str, int]) -> None:
    async with pair() as (a, _, _inbox):
        a.send(b"x", destination)
        assert (a.sent, a.errors) == (0, 1)
        assert a.last_error is not None


async def test_that_there_is_no_way_out_is_told() -> None:
    async with pair() as (a, b, _):
        told: list[bool] = []
        a.send(b"x", ("255.255.255.255", 9))
        a.on_no_way = lambda: told.append(True)
        a.send(bytes(70000), (b.address, b.port))
        a.send(b"x", ("host.invalid", 9))
        assert told == []
        a.send(b"x", ("255.255.255.255", 9))
        assert told == [True]
        assert a.errors == 4


@pytest.mark.parametrize("address", ["127.0.0.1", pytest.param("::1", marks=IPV6)])
async def test_one_datagram_that_nobody_may_fragment(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[bool] = []

    def choose(_: socket.socket, *, allowed: bool) -> bool:
        chosen.append(allowed)
        return True

    monkeypatch.setattr("atmosphere.udp.socket.set_fragmentation", choose)
    async with pair(address) as (a, b, inbox):
        a.send_unfragmented(bytes(16_000), (b.address, b.port))
        await inbox.count(1)
        assert chosen == [False, True]  # the others are fragmented where they must be
        assert [a.sent, a.errors] == [1, 0]
        a.close()
        a.send_unfragmented(b"x", (b.address, b.port))
    assert chosen == [False, True]


async def test_where_fragments_cannot_be_ruled_out_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.udp.socket.set_fragmentation", lambda sock, *, allowed: False)
    async with pair() as (a, b, _):
        a.send_unfragmented(b"x", (b.address, b.port))
        assert a.sent == 0


async def test_too_large_is_counted() -> None:
    async with pair() as (a, b, _):
        a.send(bytes(70000), (b.address, b.port))
        a.send(bytes(70000), (b.address, b.port))
        assert (a.sent, a.errors) == (0, 2)


async def test_a_full_buffer_drops() -> None:
    class Full(socket.socket):
        def sendto(self, *args: object) -> int:
            raise BlockingIOError

    sock = Full(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    udp = UdpSocket(sock)
    udp.send(b"x", ("127.0.0.1", 9))
    udp.close()
    assert (udp.sent, udp.dropped, udp.errors) == (0, 1, 0)


async def test_an_icmp_error_is_swallowed_and_reading_goes_on() -> None:
    async with pair() as (a, b, inbox):
        b._sock.connect((a.address, a.port))  # only a connected socket is told of ICMP errors
        port = (b.address, b.port)
        a.close()
        b.send(b"nobody listens", (port[0], a.port))
        async with asyncio.timeout(5):
            while not b.errors:  # the kernel answers at once on loopback, at the next send or read
                b._readable()
                await asyncio.sleep(0)
        again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        again.bind((a.address, a.port))
        again.sendto(b"still here", port)
        await inbox.count(1)
        again.close()
        assert isinstance(b.last_error, ConnectionRefusedError)


async def test_a_failing_receiver_is_contained(caplog: pytest.LogCaptureFixture) -> None:
    async with pair() as (a, b, inbox):

        def fail(data: bytes, source: tuple[str, int]) -> None:
            b.on_datagram = inbox
            raise ValueError("no")

        b.on_datagram = fail
        with caplog.at_level(logging.CRITICAL):
            a.send(b"1", (b.address, b.port))
            a.send(b"2", (b.address, b.port))
            await inbox.count(1)
        assert b.failures == 1
        assert inbox.items[0][0] == b"2"


async def test_closing_twice_and_sending_afterwards() -> None:
    udp = UdpSocket.bind("127.0.0.1")
    udp.close()
    udp.close()
    udp.send(b"x", ("127.0.0.1", 9))
    assert udp.closed
    assert udp.fileno() == -1
    assert udp.sent == 0


async def test_closing_inside_the_receiver() -> None:
    async with pair() as (a, b, _):
        closed = asyncio.Event()

        def close(data: bytes, source: tuple[str, int]) -> None:
            b.close()
            closed.set()

        b.on_datagram = close
        a.send(b"1", (b.address, b.port))
        a.send(b"2", (b.address, b.port))
        await asyncio.wait_for(closed.wait(), 5)
        assert b.received == 1


async def test_nobody_assigned_yet() -> None:
    async with pair() as (a, b, inbox):
        fresh = UdpSocket.bind("127.0.0.1")
        a.send(b"x", (fresh.address, fresh.port))
        a.send(b"y", (b.address, b.port))
        await inbox.count(1)
        fresh._readable()
        assert fresh.received == 1
        assert str(fresh.port) in repr(fresh)
        fresh.close()


@IPV6
async def test_ipv6_sockets_leave_ipv4_alone() -> None:
    v4 = UdpSocket.bind("0.0.0.0")
    v6 = UdpSocket.bind("::", v4.port)
    assert (v4.port, v4.family, v6.family) == (v6.port, 4, 6)
    v4.close()
    v6.close()


@pytest.mark.parametrize("address", ["203.0.113.250", "not an address"])
async def test_an_address_that_is_not_ours(address: str) -> None:
    with pytest.raises(OSError):
        UdpSocket.bind(address)
