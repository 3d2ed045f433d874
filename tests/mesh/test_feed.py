"""Events and those who listen: each gets all, a slow one loses the oldest, and the end reaches everybody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from atmosphere.mesh import feed as module
from atmosphere.mesh.events import Event, MembershipRevoked
from atmosphere.mesh.feed import Feed


def event(number: int) -> MembershipRevoked:
    return MembershipRevoked(str(number))


async def begun(feed: Feed) -> tuple[AsyncIterator[Event], asyncio.Task[Event]]:
    """A listener that is listening by now."""
    listener = feed.listen()
    first = asyncio.ensure_future(anext(listener))
    await asyncio.sleep(0)
    return listener, first


async def rest(listener: AsyncIterator[Event], first: asyncio.Task[Event]) -> list[Event]:
    return [await first, *[event async for event in listener]]


async def test_every_listener_gets_every_event_from_then_on() -> None:
    feed = Feed()
    feed.emit(event(0))
    one, other = await begun(feed), await begun(feed)
    feed.emit(event(1))
    feed.emit(event(2))
    feed.close()
    assert await rest(*one) == await rest(*other) == [event(1), event(2)]


async def test_a_slow_listener_loses_the_oldest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    feed = Feed()
    slow = await begun(feed)
    for number in range(5):
        feed.emit(event(number))
    feed.close()
    # The end takes a place too.
    assert await rest(*slow) == [event(4)]
    assert "does not keep up" in caplog.text


async def test_after_the_end_there_is_nothing_to_hear() -> None:
    feed = Feed()
    feed.close()
    assert [event async for event in feed.listen()] == []


async def test_who_stops_listening_is_forgotten() -> None:
    feed = Feed()
    _, first = await begun(feed)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert not feed._queues
