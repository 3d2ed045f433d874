"""atmosphere.ice.newcomers: who may still begin a session. With real sessions it is in test_mux."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from atmosphere.ice import newcomers as module
from atmosphere.ice.newcomers import Newcomers
from atmosphere.ice.settings import HALF_OPEN, HALF_OPEN_OF_ONE, NEW_BURST_OF_SOURCE
from tests.until import until


class Waiter(SimpleNamespace):
    """As much of a session as is looked at."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def fail(self, reason: str) -> None:
        self.reason = reason


def wait(newcomers: Newcomers, ufrag: str) -> Any:
    waiter: Any = Waiter(local_ufrag=ufrag, reason="")
    newcomers.add(waiter)
    return waiter


async def test_one_ufrag_is_crowded_before_all_are() -> None:
    newcomers = Newcomers()
    everybody = [wait(newcomers, "one") for _ in range(HALF_OPEN_OF_ONE)]
    assert newcomers.is_crowded("one")
    assert not newcomers.is_crowded("two")
    everybody += [wait(newcomers, f"{number}") for number in range(HALF_OPEN - HALF_OPEN_OF_ONE)]
    assert newcomers.is_crowded("two")
    for waiter in everybody:
        newcomers.remove(waiter)
        newcomers.remove(waiter)
    assert not len(newcomers)


async def test_each_source_has_its_rate() -> None:
    newcomers = Newcomers()
    admitted = sum(newcomers.admits("192.0.2.1") for _ in range(200))
    assert NEW_BURST_OF_SOURCE <= admitted <= NEW_BURST_OF_SOURCE + 10
    assert newcomers.admits("192.0.2.2")


async def test_whoever_is_not_connected_in_time_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HALF_OPEN_SECONDS", 0.01)
    waiter = wait(Newcomers(), "one")
    await until(lambda: waiter.reason)
    assert waiter.reason == "not connected within 0.01 s"
