"""atmosphere.sctp.delivery: how much a path carries, told from what arrives."""

from __future__ import annotations

import pytest

from atmosphere.sctp.delivery import Delivery

LEAST = 0.1


def steady(delivery: Delivery, rate: float, start: float, seconds: float) -> float:
    """Acknowledgements every millisecond; when they end."""
    for step in range(round(seconds * 1000)):
        delivery.arrived(int(rate / 1000), start + step / 1000)
    return start + seconds


def test_nothing_is_known_at_first() -> None:
    delivery = Delivery()
    assert delivery.carried == 0
    delivery.arrived(1000, 5.0)
    assert delivery.carried == 0
    delivery.least = LEAST
    delivery.arrived(1000, 5.0)
    assert delivery.carried >= 0


def test_a_steady_flow_is_what_the_path_carries() -> None:
    delivery = Delivery()
    delivery.least = LEAST
    steady(delivery, 1_000_000, 10.0, 1.0)
    assert delivery.carried == pytest.approx(100_000, rel=0.1)


def test_the_half_of_a_round_in_which_something_comes_is_what_counts() -> None:
    delivery = Delivery()
    delivery.least = LEAST
    now = 10.0
    for _ in range(5):
        now = steady(delivery, 1_000_000, now, LEAST / 2) + LEAST / 2
    assert delivery.carried == pytest.approx(100_000, rel=0.1)


def test_what_was_long_ago_counts_no_more_nor_does_another_path() -> None:
    delivery = Delivery()
    delivery.least = LEAST
    now = steady(delivery, 4_000_000, 10.0, 0.5)
    now = steady(delivery, 1_000_000, now, 0.5)
    assert delivery.carried == pytest.approx(100_000, rel=0.1)
    delivery.forget()
    assert delivery.carried == 0


def test_after_a_pause_it_is_not_the_pause_that_is_measured() -> None:
    delivery = Delivery()
    delivery.least = LEAST
    now = steady(delivery, 1_000_000, 10.0, 0.5) + 60
    delivery.arrived(50_000, now)
    assert delivery.carried == pytest.approx(100_000, rel=0.1)
    for step in range(1, 10):
        delivery.arrived(5_000, now + step * LEAST)
    assert delivery.carried == pytest.approx(5_000, rel=0.1)
    assert len(delivery._rates) <= 8
