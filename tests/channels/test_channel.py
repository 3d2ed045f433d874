from __future__ import annotations

import asyncio

import pytest

from atmosphere.channels import wire
from atmosphere.channels.channel import MAX_HELD_BYTES, MAX_PLAIN_BYTES, MAX_UNRELIABLE_MESSAGES, Channel
from atmosphere.channels.credit import WINDOW, cost
from atmosphere.errors import ChannelClosed
from atmosphere.sctp.interface import MAX_MESSAGE, ChannelOptions


class Carrier:
    """A link that only notes what it is asked."""

    def __init__(self) -> None:
        self.sent: list[bytes | str] = []
        self.controls: list[wire.Control] = []
        self.closed: list[bool] = []
        self.aborted: list[str] = []
        self.room = True
        self.held = 0
        self.max_message = MAX_MESSAGE

    def send_message(self, handle: int, data: bytes | str) -> None:
        self.sent.append(data)

    def has_room(self, handle: int) -> bool:
        return self.room

    def send_control(self, message: wire.Control) -> None:
        self.controls.append(message)

    def close_channel(self, handle: int, *, discard: bool) -> None:
        self.closed.append(discard)

    def abort(self, reason: str) -> None:
        self.aborted.append(reason)


def channel(carrier: Carrier, *, credited: bool = True, options: ChannelOptions | None = None) -> Channel:
    return Channel(carrier, 4, options or ChannelOptions("c"), credited=credited)


async def test_a_sender_waits_for_credit_says_so_once_and_goes_on() -> None:
    carrier = Carrier()
    ours = channel(carrier)
    sending = asyncio.create_task(ours.send(bytes(WINDOW)))
    second = asyncio.create_task(ours.send("second"))
    third = asyncio.create_task(ours.send("third"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sending.done() and not second.done()
    ours.changed()
    await asyncio.sleep(0)
    assert carrier.controls == [wire.Blocked(4)]
    ours.granted(WINDOW)
    ours.granted(cost(WINDOW) + cost(6) + cost(5))
    await asyncio.gather(second, third)
    assert carrier.sent == [bytes(WINDOW), "second", "third"]


async def test_a_sender_waits_for_room() -> None:
    carrier = Carrier()
    carrier.room = False
    ours = channel(carrier)
    sending = asyncio.create_task(ours.send(b"x"))
    await asyncio.sleep(0)
    assert not sending.done()
    carrier.room = True
    ours.changed()
    await sending
    assert carrier.controls == []


async def test_a_sender_that_waits_is_told_of_the_end() -> None:
    carrier = Carrier()
    carrier.room = False
    ours = channel(carrier)
    sending = asyncio.create_task(ours.send(b"x"))
    await asyncio.sleep(0)
    ours.ended("gone", with_link=True)
    ours.ended("again", with_link=False)
    with pytest.raises(ChannelClosed, match="gone"):
        await sending
    assert ours.link_ended


async def test_reading_gives_credit() -> None:
    carrier = Carrier()
    ours = channel(carrier)
    ours.arrived(bytes(100_000))
    ours.arrived("ü")
    assert carrier.controls == []
    assert len(await ours.receive()) == 100_000
    assert carrier.controls == [wire.Grant(4, WINDOW + cost(100_000))]
    ours.peer_blocked()
    assert await ours.receive() == "ü"
    assert carrier.controls[-1] == wire.Grant(4, WINDOW + cost(100_000) + cost(2))


async def test_more_than_the_credit_ends_the_link() -> None:
    carrier = Carrier()
    ours = channel(carrier)
    ours.arrived(bytes(MAX_MESSAGE))
    assert carrier.aborted == []
    ours.arrived(b"")
    assert carrier.aborted == ["the peer sent more than its credit allows"]


async def test_a_channel_that_may_lose_messages_loses_the_newest() -> None:
    carrier = Carrier()
    ours = channel(carrier, options=ChannelOptions("u", ordered=False, max_retransmits=0))
    for number in range(MAX_UNRELIABLE_MESSAGES + 3):
        ours.arrived(str(number))
    assert ours.dropped == 3
    assert await ours.receive() == "0"
    ours.peer_blocked()
    assert not carrier.controls and not carrier.aborted
    assert (ours.max_retransmits, ours.max_lifetime_ms, ours.ordered) == (0, None, False)


async def test_without_credit_a_full_reliable_channel_is_closed() -> None:
    carrier = Carrier()
    ours = channel(carrier, credited=False)
    for _ in range(MAX_PLAIN_BYTES // 2**18 + 1):
        ours.arrived(bytes(2**18))
    assert carrier.closed == [True]
    with pytest.raises(ChannelClosed, match="too many"):
        ours.try_send(b"x")


async def test_all_channels_without_credit_share_a_bound() -> None:
    carrier = Carrier()
    channels = [channel(carrier, credited=False) for _ in range(5)]
    for ours in channels:
        for _ in range(MAX_PLAIN_BYTES // 2**18):
            ours.arrived(bytes(2**18))
    assert [ours.end_reason is None for ours in channels] == [True] * 4 + [False]
    assert carrier.held == MAX_HELD_BYTES
    channels[0].take()
    channels[1].shut()
    channels[2].ended("x", with_link=False)
    channels[2].take()
    assert carrier.held == 2 * MAX_PLAIN_BYTES - 2**18


async def test_what_comes_after_closing_is_dropped() -> None:
    carrier = Carrier()
    ours = channel(carrier)
    await ours.close()
    await ours.close()
    ours.arrived(b"late")
    assert ours.take() is None
    assert carrier.closed == [False]
    assert "closed" in repr(ours)
