from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from atmosphere.sctp.driver import SctpAssociation
from atmosphere.sctp.interface import ChannelOptions


class Log:
    """Everything an association told its owner."""

    def __init__(self) -> None:
        self.established = 0
        self.opened: list[tuple[int, ChannelOptions]] = []
        self.acknowledged: list[int] = []
        self.messages: list[tuple[int, bytes | str]] = []
        self.low: list[int] = []
        self.closed_channels: list[int] = []
        self.reason: str | None = None
        self.fail_on: bytes | str | None = None
        self.then: Callable[[int, bytes | str], None] = lambda handle, data: None

    def on_established(self) -> None:
        self.established += 1

    def on_channel_opened(self, handle: int, options: ChannelOptions) -> None:
        self.opened.append((handle, options))

    def on_open(self, handle: int) -> None:
        self.acknowledged.append(handle)

    def on_message(self, handle: int, data: bytes | str) -> None:
        if self.fail_on is not None and data == self.fail_on:
            raise RuntimeError("a faulty handler")
        self.messages.append((handle, data))
        self.then(handle, data)

    def on_buffered_low(self, handle: int) -> None:
        self.low.append(handle)

    def on_channel_closed(self, handle: int, reason: str) -> None:
        self.closed_channels.append(handle)

    def on_closed(self, reason: str) -> None:
        self.reason = reason


class Side:
    """One association over a path that answers a turn of the loop later, or (`at_once`) before `send` returns."""

    def __init__(self, *, client: bool, at_once: bool = False) -> None:
        self.log = Log()
        self.at_once = at_once
        self.blocked = False
        self.bursts = 0
        self.peer: Side
        self.association = SctpAssociation(
            client=client, send=self._send, events=self.log, blocked=lambda: self.blocked
        )

    def _send(self, data: bytes, segment: int) -> None:
        self.bursts += 1
        if self.at_once:
            self.peer.association.receive(data, segment)
        else:
            asyncio.get_running_loop().call_soon(self.peer.association.receive, data, segment)


async def within(work: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not work():  # noqa: ASYNC110 - nothing tells of these moments
            await asyncio.sleep(0)


@asynccontextmanager
async def two_sides(*, at_once: bool = False) -> AsyncIterator[tuple[Side, Side]]:
    one, other = Side(client=True, at_once=at_once), Side(client=False, at_once=at_once)
    one.peer, other.peer = other, one
    one.association.start()
    other.association.start()
    await within(lambda: one.association.established and other.association.established)
    yield one, other
    for side in (one, other):
        side.association.abort("the test is over")
        assert side.association._timer is None or side.association._core.deadline() is None


@pytest.mark.parametrize("at_once", [False, True], ids=["later", "at once"])
async def test_messages_pass_and_nothing_is_contained(at_once: bool) -> None:
    async with two_sides(at_once=at_once) as (one, other):
        handle = one.association.open(ChannelOptions("c"))
        for _ in range(20):
            one.association.send(handle, bytes(50_000))
        await within(lambda: len(other.log.messages) == 20 and one.log.acknowledged)
        assert one.association.answer_time is not None and one.log.low == [handle]
        await within(lambda: not one.association.outstanding)
        assert one.association.queued == one.association.buffered(handle) == 0
        assert one.association.contained == other.association.contained == 0
        assert one.association.dump()["contained"] == 0


async def test_messages_of_one_turn_share_packets() -> None:
    async with two_sides() as (one, other):
        handle = one.association.open(ChannelOptions("c"), 8)
        other.association.open(ChannelOptions("c"), 8)
        before = one.bursts
        for place in range(50):
            one.association.send(handle, str(place))
        await within(lambda: len(other.log.messages) == 50)
        assert one.bursts - before <= 5


async def test_a_handler_that_fails_is_contained() -> None:
    async with two_sides() as (one, other):
        other.log.fail_on = "boom"
        handle = one.association.open(ChannelOptions())
        for message in ("boom", "fine"):
            one.association.send(handle, message)
        await within(lambda: other.log.messages)
        assert other.log.messages == [(handle, "fine")]
        assert other.association.contained == 1


@pytest.mark.parametrize("at_once", [False, True], ids=["later", "at once"])
async def test_a_handler_may_answer_close_and_abort(at_once: bool) -> None:
    async with two_sides(at_once=at_once) as (one, other):

        def act(handle: int, data: bytes | str) -> None:
            if data == "abort":
                other.association.abort("as told")
            elif data == "close":
                other.association.close(handle)
            else:
                other.association.send(handle, data)

        other.log.then = act
        handle, second = one.association.open(ChannelOptions()), one.association.open(ChannelOptions())
        one.association.send(handle, "echo")
        one.association.send(handle, "close")
        await within(lambda: one.log.closed_channels)
        assert one.log.messages == [(handle, "echo")]
        one.association.send(second, "abort")
        await within(lambda: one.log.reason and other.log.reason)
        assert (one.log.reason, other.log.reason) == ("as told", "as told")
        assert second in one.log.closed_channels and second in other.log.closed_channels
        with pytest.raises(ValueError, match="closed"):
            one.association.open(ChannelOptions())


async def test_the_caller_has_the_handle_before_what_came_early() -> None:
    async with two_sides() as (one, other):
        one.association.open(ChannelOptions(), 7)
        one.association.send(7, b"early")
        await within(lambda: not one.association.outstanding)
        assert other.association.open(ChannelOptions(), 7) == 7
        assert other.log.messages == []
        await within(lambda: other.log.messages)


async def test_a_path_that_is_full_is_waited_for() -> None:
    async with two_sides() as (one, other):
        handle = one.association.open(ChannelOptions(), 6)
        other.association.open(ChannelOptions(), 6)
        one.blocked, before = True, one.bursts
        one.association.send(handle, bytes(100_000))
        for _ in range(5):
            await asyncio.sleep(0)
        assert one.bursts == before
        one.blocked = False
        one.association.resume()
        await within(lambda: other.log.messages)


async def test_timers_mend_what_is_lost_and_a_kick_does_it_at_once() -> None:
    async with two_sides() as (one, other):
        handle = one.association.open(ChannelOptions(), 6)
        other.association.open(ChannelOptions(), 6)
        send, one.association._send = one.association._send, lambda data, segment: None
        one.association.send(handle, b"lost once")
        one.association._send = send
        await within(lambda: other.log.messages)
        one.association._send = lambda data, segment: None
        one.association.send(handle, b"lost again")
        one.association._send = send
        one.association.kick()
        one.association.probe()
        await within(lambda: len(other.log.messages) == 2)
        other.association.read(10)
        one.association.close(handle)
        await within(lambda: one.log.closed_channels and other.log.closed_channels)


async def test_what_is_presumed_stands_at_once_and_ends_in_order() -> None:
    one, other = Side(client=True), Side(client=False)
    one.peer, other.peer = other, one
    for side in (one, other):
        side.association.presume(bytes(16))
        assert side.association.established and side.log.established == 1 and side.bursts == 0
    handle = one.association.open(ChannelOptions("c"))
    one.association.send(handle, b"x")
    one.association.shutdown()
    await within(lambda: one.log.reason and other.log.reason)
    assert (one.log.reason, other.log.reason) == ("closed", "closed by the peer")
    assert other.log.messages == [(handle, b"x")]
