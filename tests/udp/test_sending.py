"""Sending bursts with UdpSocket: as datagrams they arrive, whatever the system can do."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from atmosphere.udp.socket import MAX_SEGMENTS, UdpSocket
from atmosphere.udp.window import Buffer

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="bursts are Linux's")


class Unwilling(socket.socket):
    """A socket that says `error` to bursts, and takes `room` datagrams."""

    error: int | None = None
    room = 10**6
    bursts = singles = 0

    def sendmsg(self, *arguments: Any) -> int:
        if self.error is not None:
            raise OSError(self.error, "no bursts")
        if self.room <= 0:
            raise BlockingIOError
        self.bursts += 1
        return super().sendmsg(*arguments)

    def sendto(self, *arguments: Any) -> int:
        if self.room <= 0:
            raise BlockingIOError
        self.room -= 1
        self.singles += 1
        return super().sendto(*arguments)


class Pair:
    def __init__(self) -> None:
        sock = Unwilling(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        self.raw = sock
        self.sender = UdpSocket(sock)
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind(("127.0.0.1", 0))
        self.receiver.settimeout(5)
        self.to = self.receiver.getsockname()

    def heard(self, count: int) -> list[bytes]:
        return [self.receiver.recv(65536) for _ in range(count)]


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    yield made
    made.sender.close()
    made.receiver.close()


@LINUX
async def test_equal_datagrams_and_a_shorter_last_one_are_one_call() -> None:
    async with pair() as ends:
        parts: list[Buffer] = [b"aaaa", memoryview(b"bbbb"), bytearray(b"cc")]
        assert ends.sender.send_burst(parts, ends.to) == 3
        assert ends.heard(3) == [b"aaaa", b"bbbb", b"cc"]
        assert (ends.raw.bursts, ends.raw.singles) == (1, 0)
        assert (ends.sender.sent, ends.sender.bytes_sent) == (3, 10)


@LINUX
async def test_unequal_datagrams_are_as_many_calls_as_it_takes() -> None:
    async with pair() as ends:
        parts = [b"a", b"bb", b"bb", b"", b"", b"c", b"d"]
        assert ends.sender.send_burst(parts, ends.to) == 7
        assert ends.heard(7) == parts
        assert (ends.raw.bursts, ends.raw.singles) == (2, 3)


@LINUX
@pytest.mark.parametrize(("size", "count"), [(10, MAX_SEGMENTS * 2 + 1), (1200, 60), (40000, 2)])
async def test_what_is_too_much_for_one_call(size: int, count: int) -> None:
    async with pair() as ends:
        ends.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        parts = [bytes([number % 256]) * size for number in range(count)]
        assert ends.sender.send_burst(parts, ends.to) == count
        assert ends.heard(count) == parts


@pytest.mark.parametrize("error", [errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT])
async def test_where_bursts_do_not_work_datagrams_go_one_by_one(error: int) -> None:
    async with pair() as ends:
        ends.raw.error = error
        parts = [b"one", b"two", b"three"[:3]]
        assert ends.sender.send_burst(parts, ends.to) == 3
        assert ends.sender.send_pieces((b"he", b"adxx", b"xx"), 4, 2, ends.to) == 2
        assert ends.heard(5) == [*parts, b"head", b"xxxx"]
        assert (ends.sender.errors, ends.sender.sent) == (0, 5)


async def test_other_errors_are_counted_and_the_burst_is_done_with() -> None:
    async with pair() as ends:
        ends.raw.error = errno.ENETUNREACH
        assert ends.sender.send_burst([b"one", b"two"], ends.to) == 2
        assert ends.sender.send_burst([b"one", b"two"], ("::1", 9)) == 2
        assert ends.sender.send_burst([b"one", b"two"], ("127.0.0.1", -1)) == 2
        assert ends.sender.sent == 0
        assert ends.sender.errors >= 2


async def test_a_full_buffer_stops_where_it_is_full() -> None:
    async with pair() as ends:
        ends.raw.error, ends.raw.room = errno.EIO, 2
        assert ends.sender.send_burst([b"1", b"2", b"3", b"4"], ends.to) == 2
        assert ends.sender.dropped == 1
        ends.raw.error = None
        ends.sender._can_burst = True
        assert ends.sender.send_burst([b"3", b"4"], ends.to) == 0
        assert ends.sender.send_burst([b"3", b"4", b"55"], ends.to) == 0
        assert ends.heard(2) == [b"1", b"2"]


async def test_waking_when_there_is_room() -> None:
    async with pair() as ends:
        woken, other = asyncio.Event(), asyncio.Event()
        ends.sender.when_writable(woken.set)
        ends.sender.when_writable(None)
        ends.sender.when_writable(woken.set)
        ends.sender.when_writable(other.set)
        async with asyncio.timeout(5):
            await woken.wait()
            await other.wait()
        ends.sender.close()
        ends.sender.when_writable(woken.set)
        assert ends.sender.send_burst([b"1", b"2"], ends.to) == 2
        assert ends.sender.sent == 0


@LINUX
async def test_a_burst_is_read_as_one_and_given_back_one_by_one() -> None:
    async with pair() as ends:
        got: list[tuple[bytes, int]] = []
        reader = UdpSocket.bind("127.0.0.1")
        arrived = asyncio.Event()

        def take(data: bytes, segment: int, source: tuple[str, int]) -> None:
            got.append((data, segment))
            arrived.set()

        take_burst: Callable[[bytes, int, tuple[str, int]], None] = take
        reader.on_burst = take_burst
        assert reader.on_burst is take_burst
        ends.sender.send_burst([b"aaaa", b"bbbb", b"c"], (reader.address, reader.port))
        async with asyncio.timeout(5):
            await arrived.wait()
        assert got == [(b"aaaabbbbc", 4)]
        assert (reader.received, reader.bytes_received) == (3, 9)
        single: list[bytes] = []
        reader.on_burst = None
        reader.on_datagram = lambda data, source: single.append(data)
        ends.sender.send_burst([b"aaaa", b"bbbb", b"c"], (reader.address, reader.port))
        async with asyncio.timeout(5):
            while len(single) < 3:  # noqa: ASYNC110 - the loop shall read, that is all
                await asyncio.sleep(0)
        assert single == [b"aaaa", b"bbbb", b"c"]
        reader.close()
