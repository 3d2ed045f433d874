"""atmosphere.ice.race."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from atmosphere.errors import Unreachable
from atmosphere.ice.race import race


def after(seconds: float, result: str, log: list[str], fails: bool = False) -> Callable[[], Awaitable[str]]:
    async def attempt() -> str:
        log.append(f"start {result}")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            log.append(f"cancelled {result}")
            raise
        if fails:
            raise Unreachable(result)
        return result

    return attempt


async def test_a_quick_first_starts_no_second() -> None:
    log: list[str] = []
    assert await race([after(0, "a", log), after(0, "b", log)], 5) == "a"
    assert log == ["start a"]


async def test_a_slow_first_is_overtaken_and_cancelled() -> None:
    log: list[str] = []
    assert await race([after(5, "a", log), after(0, "b", log), after(0, "c", log)], 0.02) == "b"
    assert log == ["start a", "start b", "cancelled a"]


async def test_a_failure_starts_the_next_at_once() -> None:
    log: list[str] = []
    assert await asyncio.wait_for(race([after(0, "a", log, fails=True), after(0, "b", log)], 5), 1) == "b"


async def test_when_all_fail_the_first_reason_counts() -> None:
    with pytest.raises(Unreachable, match="a"):
        await race([after(0, "a", [], fails=True), after(0.02, "b", [], fails=True)], 0.01)


async def test_cancelling_the_race_cancels_the_runners() -> None:
    log: list[str] = []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(race([after(5, "a", log), after(5, "b", log)], 0.01), 0.1)
    assert sorted(log[2:]) == ["cancelled a", "cancelled b"]
