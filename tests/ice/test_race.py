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


class Spare:
    """Takes what nobody wants."""

    def __init__(self) -> None:
        self.got: list[str] = []

    async def discard(self, result: str) -> None:
        await asyncio.sleep(0)
        self.got.append(result)


@pytest.fixture
def spare() -> Spare:
    return Spare()


async def test_a_quick_first_starts_no_second(spare: Spare) -> None:
    log: list[str] = []
    assert await race([after(0, "a", log), after(0, "b", log)], 5, spare.discard) == "a"
    assert log == ["start a"]


async def test_a_slow_first_is_overtaken_and_cancelled(spare: Spare) -> None:
    log: list[str] = []
    assert await race([after(5, "a", log), after(0, "b", log), after(0, "c", log)], 0.02, spare.discard) == "b"
    assert log == ["start a", "start b", "cancelled a"]


async def test_a_failure_starts_the_next_at_once(spare: Spare) -> None:
    log: list[str] = []
    assert (
        await asyncio.wait_for(race([after(0, "a", log, fails=True), after(0, "b", log)], 5, spare.discard), 1) == "b"
    )


async def test_when_all_fail_the_first_reason_counts(spare: Spare) -> None:
    with pytest.raises(Unreachable, match="a"):
        await race([after(0, "a", [], fails=True), after(0.02, "b", [], fails=True)], 0.01, spare.discard)


async def test_cancelling_the_race_cancels_the_runners(spare: Spare) -> None:
    log: list[str] = []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(race([after(5, "a", log), after(5, "b", log)], 0.01, spare.discard), 0.1)
    assert sorted(log[2:]) == ["cancelled a", "cancelled b"]


def together(result: str, ready: asyncio.Event) -> Callable[[], Awaitable[str]]:
    async def attempt() -> str:
        await ready.wait()
        return result

    return attempt


async def test_of_two_that_succeed_in_one_turn_the_second_is_discarded(spare: Spare) -> None:
    ready = asyncio.Event()
    started = [together(name, ready) for name in "abc"]
    asyncio.get_running_loop().call_later(0.05, ready.set)
    first = await race(started, 0.001, spare.discard)
    assert sorted([first, *spare.got]) == ["a", "b", "c"]


async def test_who_succeeds_although_it_is_cancelled_is_discarded(spare: Spare) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return "late"
        raise AssertionError("it was not cancelled")

    assert await race([stubborn, after(0, "b", [])], 0.01, spare.discard) == "b"
    assert spare.got == ["late"]


async def test_a_cancelled_race_has_no_winner(spare: Spare) -> None:
    ready, slow = asyncio.Event(), asyncio.Event()

    async def tidy() -> str:
        try:
            await asyncio.sleep(5)
        finally:
            slow.set()
            await asyncio.sleep(0)  # the end of the race waits for this
        raise AssertionError("it was not cancelled")

    racing = asyncio.ensure_future(race([tidy, together("b", ready)], 0.001, spare.discard))
    asyncio.get_running_loop().call_later(0.02, ready.set)
    await slow.wait()
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert spare.got == ["b"]
