"""How a NAT chooses ports, from the ports that were seen."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.ice.hardnat.allocation import FIRST_PORT, LAST_PORT, UNKNOWN, PortAllocation, allocation_of, port_after
from tests.ice.hardnat.simulation import random_ports, sequential_ports


def of(*ports: int) -> PortAllocation:
    return allocation_of([(7777, port) for port in ports])


@pytest.mark.parametrize(
    ("ports", "kind", "step"),
    [
        ((), "unknown", 0),
        ((7777,), "preserved", 0),
        ((7777, 7777), "preserved", 0),
        ((4000,), "unknown", 0),
        ((4000, 4000, 4001), "unknown", 0),
        ((4000, 4001, 4002), "sequential", 1),
        ((4000, 4002, 4004), "sequential", 2),
        ((4000, 3999, 3998), "sequential", -1),
        ((4000, 4001, 4004, 4005), "sequential", 1),
        ((4000, 4002, 4008, 4010), "sequential", 2),
        ((65534, 65535, 1024, 1025), "sequential", 1),
        ((4000, 4002, 4001, 4003), "sequential", 1),
        ((4000, 9000, 4001), "random", 0),
        ((40000, 2000, 61111, 30303), "random", 0),
        ((4000, 4001, 4000 + 5000, 4001 + 5000, 20000), "random", 0),
    ],
)
def test_what_the_ports_say(ports: tuple[int, ...], kind: str, step: int) -> None:
    found = of(*ports)
    assert (found.kind, found.step) == (kind, step)
    assert found.last_port == (ports[-1] if ports else 0)


def test_nothing_seen_is_unknown() -> None:
    assert allocation_of([]) == UNKNOWN


def test_six_samples_tell_the_kinds_apart() -> None:
    for seed in range(500):
        rng = Random(seed)
        assert of(*islice(random_ports(rng), 6)).kind == "random"
        step = rng.choice([1, 2, -1, 4])
        assert of(*islice(sequential_ports(rng, step), 6)).step == step


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), max_size=20))
def test_anything_is_concluded_from_anything(seen: list[tuple[int, int]]) -> None:
    found = allocation_of(seen)
    assert (found.step != 0) == (found.kind == "sequential")


@given(st.integers(0, 65535), st.integers(-10_000, 10_000))
def test_ports_begin_again_at_the_other_end(port: int, steps: int) -> None:
    assert FIRST_PORT <= port_after(port, steps) <= LAST_PORT
    assert port_after(65535, 1) == 1024
    assert port_after(1024, -1) == 65535
