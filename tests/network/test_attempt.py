from __future__ import annotations

import asyncio

import pytest

from atmosphere.errors import LinkError
from atmosphere.network.attempt import MAX_WAITING, PunchAttempt
from atmosphere.network.punch import Punch


def attempt() -> PunchAttempt:
    return PunchAttempt("bob", Punch(("127.0.0.1", 9)))


def test_what_it_says() -> None:
    found = attempt()
    assert (found.state, found.is_direct, found.rtt, found.remote) == ("probing", False, None, None)
    assert "bob" in repr(found)


async def test_data_waits_and_is_bounded() -> None:
    found = attempt()
    for n in range(MAX_WAITING + 3):
        found.deliver(n.to_bytes(2))
    assert found.dropped == 3
    assert [await found.take() for _ in range(2)] == [b"\0\0", b"\0\1"]


async def test_who_waits_learns_of_the_end() -> None:
    found = attempt()
    waiting = asyncio.ensure_future(found.take())
    await asyncio.sleep(0)
    found.changed()  # nothing changed
    found.punch.state = "lost"
    found.changed()
    with pytest.raises(LinkError, match="lost"):
        await asyncio.wait_for(waiting, 5)
    assert found.settled.is_set()
