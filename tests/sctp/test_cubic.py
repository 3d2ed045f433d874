from __future__ import annotations

import pytest

from atmosphere.sctp.cubic import BETA, ENOUGH, INITIAL, MOST, Cubic

MTU = 1188


def test_slow_start_doubles_while_the_window_is_used() -> None:
    cubic = Cubic(MTU)
    assert cubic.is_slow_start
    cubic.acknowledged(5 * MTU, 0.0, 0.1, full=False)
    assert cubic.window == INITIAL * MTU
    cubic.acknowledged(INITIAL * MTU, 0.0, 0.1, full=True)
    assert cubic.window == 2 * INITIAL * MTU
    for _ in range(40):
        cubic.acknowledged(int(cubic.window), 0.0, 0.1, full=True)
    assert cubic.window == MOST


def test_slow_start_ends_carefully_when_answers_take_longer_and_goes_on_after_a_hiccup() -> None:
    cubic = Cubic(MTU)
    cubic.acknowledged(100 * MTU, 0.0, 0.1, full=True)
    cubic.round_ended(0.100, 0.1)
    cubic.round_ended(0.120, 0.1)
    before = cubic.window
    cubic.acknowledged(4 * MTU, 0.0, 0.1, full=True)
    assert cubic.window == before + MTU
    cubic.round_ended(0.101, 0.1)
    cubic.acknowledged(4 * MTU, 0.0, 0.1, full=True)
    assert cubic.window == before + 5 * MTU
    cubic.round_ended(0.130, 0.1)
    for _ in range(5):
        cubic.round_ended(0.130, 0.1)
    assert not cubic.is_slow_start
    cubic.round_ended(0.5, 0.1)


def flow(cubic: Cubic, rate: float, start: float, seconds: float, round_trip: float = 0.1) -> float:
    """Answers every millisecond that tell of `rate` bytes a second; when they end."""
    for step in range(round(seconds * 1000)):
        cubic.acknowledged(int(rate / 1000), start + step / 1000, round_trip, full=True)
    return start + seconds


def test_slow_start_ends_where_more_is_on_its_way_than_the_path_delivers() -> None:
    cubic, carries = Cubic(MTU), 2_000_000 * 0.1
    cubic.sampled(0.1, 0.1)
    now = flow(cubic, 2_000_000, 10.0, 0.1)
    assert INITIAL * MTU < carries < cubic.window < ENOUGH * carries
    cubic.sampled(0.2, 0.1)
    assert cubic.is_slow_start, "not yet so much more"
    now = flow(cubic, 2_000_000, now, 0.1)
    assert cubic.window > ENOUGH * carries
    cubic.sampled(0.101, 0.1)
    assert cubic.is_slow_start, "there is no queue"
    cubic.sampled(0.2, 0.1)
    assert not cubic.is_slow_start


def test_a_path_without_pace_and_one_of_which_little_is_known_are_left_alone() -> None:
    for least, seconds in ((0.0005, 0.5), (0.1, 0.0)):
        cubic = Cubic(MTU)
        cubic.sampled(least, least)
        flow(cubic, 2_000_000, 10.0, seconds)
        cubic.sampled(10 * least, least)
        assert cubic.is_slow_start


def test_the_first_loss_leaves_what_the_path_was_seen_to_carry() -> None:
    cubic, carries = Cubic(MTU), 2_000_000 * 0.1
    cubic.sampled(0.1, 0.1)
    now = flow(cubic, 2_000_000, 10.0, 0.4)
    assert cubic.window > 3 * carries
    cubic.lost(now)
    assert cubic.window == pytest.approx(carries, rel=0.1)
    assert not cubic.is_slow_start
    window = cubic.window
    cubic.lost(now + 1)
    assert cubic.window == pytest.approx(window * BETA)


def test_a_loss_before_the_path_is_full_is_any_loss() -> None:
    cubic = Cubic(MTU)
    cubic.sampled(0.1, 0.1)
    now = flow(cubic, 2_000_000, 10.0, 0.05)
    window = cubic.window
    cubic.lost(now)
    assert cubic.window == pytest.approx(window * BETA)


def test_after_a_loss_the_window_comes_back_in_the_time_of_the_formula() -> None:
    cubic = Cubic(MTU)
    cubic.window = 100 * MTU
    cubic.lost(0.0)
    assert cubic.window == pytest.approx(BETA * 100 * MTU)
    k = (100 * (1 - BETA) / 0.4) ** (1 / 3)
    now, round_trip = 0.0, 0.2
    while now < k:
        size = int(cubic.window)
        for _ in range(10):
            cubic.acknowledged(size // 10, now, round_trip, full=True)
        now += round_trip
    assert 0.93 < cubic.window / (100 * MTU) < 1.06
    steady = cubic.window
    cubic.lost(now)
    assert cubic.window == pytest.approx(BETA * steady)


def test_it_is_no_slower_than_reno_on_a_short_path() -> None:
    cubic = Cubic(MTU)
    cubic.window = 10 * MTU
    cubic.lost(0.0)
    start, now = cubic.window, 0.0
    for _ in range(30):
        cubic.acknowledged(int(cubic.window), now, 0.01, full=True)
        now += 0.01
    assert cubic.window - start >= 0.45 * 30 * MTU


def test_unused_time_is_no_growth() -> None:
    cubic = Cubic(MTU)
    cubic.window = 100 * MTU
    cubic.lost(0.0)
    cubic.acknowledged(MTU, 0.0, 0.1, full=True)
    cubic.acknowledged(MTU, 50.0, 0.1, full=False)
    before = cubic.window
    cubic.acknowledged(MTU, 100.0, 0.1, full=True)
    assert cubic.window - before < 2 * MTU


def test_silence_and_another_path_begin_again() -> None:
    cubic = Cubic(MTU)
    cubic.window = 100 * MTU
    cubic.timed_out()
    assert cubic.window == MTU and cubic.is_slow_start
    cubic.timed_out()
    assert cubic._threshold == 70 * MTU  # as RFC 5681 has it: the next timeouts of one silence say nothing more
    cubic.window = 200 * MTU
    cubic.lost(0.0)
    cubic.moved()
    assert cubic.window == INITIAL * MTU and cubic.is_slow_start
    assert cubic._threshold == pytest.approx(200 * BETA * MTU)
    cubic.timed_out()
    cubic.moved()
    assert cubic.window == INITIAL * MTU  # what a silence of the old path left says nothing of the new one
