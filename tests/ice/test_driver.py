"""atmosphere.ice.driver, with an agent that does as it is told. With real ones it is in test_session."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from atmosphere.ice.driver import LATE_ENOUGH, Driver
from atmosphere.ice.events import ConsentExpired, IceEvent, Transmit
from tests.until import until

CHECK = Transmit(1, b"check", ("192.0.2.9", 9))
LOST = (1, ("192.0.2.8", 8))


class Scripted:
    """As much of an agent and of a router as is used; `told` has everything in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.wakes: list[float] = []
        self.next: float | None = None
        self.driver = Driver(cast("Any", self), cast("Any", self), cast("Any", self), self.told.append)

    def transmits(self) -> list[Transmit]:
        return [CHECK]

    def dropped(self) -> list[tuple[int, tuple[str, int]]]:
        return [LOST]

    def events(self) -> list[IceEvent]:
        return [ConsentExpired()]

    def deadline(self) -> float | None:
        return self.next

    def handle_timer(self, now: float) -> None:
        self.wakes.append(now)
        self.next = None

    def close(self) -> None:
        self.next = None

    def transmit(self, session: Any, transmit: Transmit) -> None:
        assert session is self
        self.told.append(transmit)

    def forget(self, session: Any, base: int, source: tuple[str, int]) -> None:
        assert session is self
        self.told.append((base, source))

    @property
    def wakes_at(self) -> float | None:
        return None if self.driver._timer is None else self.driver._timer.when()


async def test_what_is_to_be_sent_goes_first_and_what_happened_is_told_last() -> None:
    scripted = Scripted()
    scripted.driver.flush()
    assert scripted.told == [CHECK, LOST, ConsentExpired()]
    assert scripted.wakes_at is None


async def test_the_agent_is_woken_no_earlier_than_it_wants_and_flushed() -> None:
    scripted = Scripted()
    scripted.next = wanted = asyncio.get_running_loop().time() + 0.01
    scripted.driver.arm()
    await until(lambda: scripted.wakes)
    assert scripted.wakes[0] >= wanted
    assert scripted.told == [CHECK, LOST, ConsentExpired()]
    assert scripted.wakes_at is None


async def test_a_timer_that_is_a_little_early_stays() -> None:
    scripted = Scripted()
    first = asyncio.get_running_loop().time() + 60
    for wanted, armed in (
        (first, first),
        (first + LATE_ENOUGH / 2, first),
        (first + 3 * LATE_ENOUGH, first + 3 * LATE_ENOUGH),
        (first, first),
    ):
        scripted.next = wanted
        scripted.driver.arm()
        assert scripted.wakes_at == armed
    scripted.driver.close()
    assert scripted.wakes_at is None
    scripted.driver.arm()
    assert scripted.wakes_at is None
