"""The link in user space: what its orders do."""

from __future__ import annotations

import dataclasses
import random

import pytest

from tests.lab.link import LONGEST_WAIT, Pipes
from tests.lab.pipe import Conditions

FRAME = bytes(12) + b"\x08\x00" + bytes(50)


def order(to: str, conditions: Conditions) -> dict[str, object]:
    return {"do": "set", "to": to} | dataclasses.asdict(conditions)


@pytest.mark.parametrize(("to", "waits"), [("left", (5.0, 0.0)), ("right", (0.0, 5.0)), ("both", (5.0, 5.0))])
def test_conditions_are_of_a_direction_or_of_both(to: str, waits: tuple[float, float]) -> None:
    pipes = Pipes(random.Random(1))
    pipes.obey(order(to, Conditions(delay=5.0)))
    for side, wait in zip(("left", "right"), waits, strict=True):
        pipes.to[side].put(FRAME, 10.0)
        assert pipes.wait(10.0) == wait
        assert pipes.to[side].due(15.0) == [FRAME]


def test_with_nothing_under_way_it_only_waits_for_frames() -> None:
    assert Pipes(random.Random(1)).wait(10.0) == LONGEST_WAIT


def test_counting() -> None:
    pipes = Pipes(random.Random(1))
    pipes.obey(order("left", Conditions(loss=1.0)))
    for side in ("left", "right"):
        pipes.to[side].put(FRAME, 0.0)
        pipes.to[side].due(0.0)
    none = {"carried": 0, "lost": 0, "overflowed": 0, "too_long": 0}
    assert pipes.obey({"do": "count"}) == {"left": none | {"lost": 1}, "right": none | {"carried": 1}}
