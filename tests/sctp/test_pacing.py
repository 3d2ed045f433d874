from __future__ import annotations

import pytest

from atmosphere.sctp.pacing import LEAST_PACKETS, Pacer


def test_a_quick_path_is_not_paced() -> None:
    pacer = Pacer(1200)
    for round_trip in (None, 0.001):
        pacer.update(1e6, round_trip, 0.0, slow_start=True)
        assert pacer.allowance(0.0) == float("inf")
        assert pacer.deadline() is None


def test_a_window_is_spread_over_the_round_trip() -> None:
    pacer = Pacer(1200)
    pacer.update(1e6, 0.1, 0.0, slow_start=False)
    sent, now = 0.0, 0.0
    while now < 1.0:
        allowed = pacer.allowance(now)
        assert allowed <= 60_000
        pacer.spend(int(allowed))
        sent += int(allowed)
        deadline = pacer.deadline()
        assert deadline is not None and deadline > now
        now = deadline
    assert sent == pytest.approx(12.5e6, rel=0.02)


def test_a_slow_path_still_gets_a_few_packets_at_once() -> None:
    pacer = Pacer(1200)
    pacer.update(12_000, 1.0, 0.0, slow_start=True)
    assert pacer.allowance(100.0) == LEAST_PACKETS * 1200
