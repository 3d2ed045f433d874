from __future__ import annotations

import asyncio

from signaling.timers import Timers
from tests.signaling.tools import until


async def test_one_of_each_kind_is_called_once() -> None:
    timers, called = Timers(), list[str]()
    for name in ("first", "second"):
        timers.once("kind", 0.0, lambda name=name: called.append(name))  # type: ignore[misc]
    timers.once("other", 0.0, lambda: called.append("other"))
    assert "kind" in timers
    await until(lambda: len(called) == 2)
    assert sorted(called) == ["first", "other"]
    assert "kind" not in timers
    timers.once("kind", 0.0, lambda: called.append("again"))
    await until(lambda: called[-1] == "again")


async def test_what_is_cancelled_does_not_come() -> None:
    timers, called, later = Timers(), list[str](), asyncio.Event()
    timers.once("kind", 0.0, lambda: called.append("never"))
    timers.cancel()
    timers.once("later", 0.01, later.set)
    await later.wait()
    assert called == []
