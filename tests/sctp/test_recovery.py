from __future__ import annotations

import pytest

from atmosphere.sctp.flight import LOST, Acked, Flight
from atmosphere.sctp.recovery import RTO_FIRST, RTO_LEAST, RTO_MOST, Recovery
from tests.sctp.test_flight import FIRST, flight


def measured(round_trip: float = 0.1) -> Recovery:
    recovery = Recovery()
    recovery.acknowledged(Acked(1, 0.0, None, 1), round_trip)
    return recovery


def acknowledge(recovery: Recovery, made: Flight, now: float, cumulative: int, *gaps: tuple[int, int]) -> int:
    recovery.acknowledged(made.acknowledge(cumulative, gaps), now)
    return recovery.detect(made, now)


def test_the_timer_follows_the_round_trip() -> None:
    recovery = Recovery()
    assert recovery.rto == RTO_FIRST
    recovery.acknowledged(Acked(1, 0.0, None, 1), 0.1)
    assert (recovery.smoothed, recovery.variation, recovery.rto) == pytest.approx((0.1, 0.05, 0.3))
    for place in range(50):
        recovery.acknowledged(Acked(1, float(place), None, 1), place + 0.01)
    assert recovery.rto == RTO_LEAST
    recovery.acknowledged(Acked(1, 0.0, None, 1), 1000.0)
    assert recovery.rto == RTO_MOST


def test_the_shortest_round_trip_is_not_believed_for_ever() -> None:
    recovery = measured(0.1)
    recovery.acknowledged(Acked(1, 1.0, None, 1), 1.3)
    assert recovery.least == pytest.approx(0.1)
    recovery.acknowledged(Acked(1, 20.0, None, 1), 20.3)
    assert recovery.least == pytest.approx(0.3)


def test_what_was_overtaken_is_lost_after_a_little_patience() -> None:
    recovery, made = measured(), flight(3, 3)
    assert acknowledge(recovery, made, 11.1, FIRST - 1, (4, 6)) == 12
    assert made.lost == 3
    recovery, made = measured(), flight(6)
    assert acknowledge(recovery, made, 10.1, FIRST - 1, (2, 6)) == 0
    due = recovery.deadline(made)
    assert due == pytest.approx(10.1 + 0.026)
    assert recovery.due(made, 10.2) == "reorder"
    assert recovery.detect(made, 10.2) == 4


def test_patience_grows_where_packets_overtake_each_other() -> None:
    recovery, made = measured(), flight(6)
    for _ in range(20):
        recovery.reordered()
    assert acknowledge(recovery, made, 10.1, FIRST - 1, (2, 6)) == 0
    assert recovery.deadline(made) == pytest.approx(10.1 + 0.101)


def test_what_was_sent_again_can_be_lost_again() -> None:
    recovery, made = measured(), flight(3, 3)
    acknowledge(recovery, made, 11.1, FIRST - 1, (4, 4))
    for tsn in range(FIRST, FIRST + 3):
        made.resend(tsn, 11.1)
    assert acknowledge(recovery, made, 11.11, FIRST - 1, (4, 5)) == 0
    made.batch(FIRST + 5).sent_at = 11.2
    assert acknowledge(recovery, made, 11.3, FIRST - 1, (4, 6)) == 12
    assert made.state.count(LOST) == 3


def test_first_a_probe_then_the_timer_with_its_back_off() -> None:
    recovery, made = measured(), flight(20)
    recovery.arm(10.0)
    assert recovery.deadline(made) == pytest.approx(10.2)
    assert recovery.due(made, 10.1) == ""
    assert recovery.due(made, 10.2) == "probe"
    assert recovery.deadline(made) == pytest.approx(10.2 + 0.3)
    assert recovery.due(made, 10.5) == "timeout"
    assert recovery.deadline(made) == pytest.approx(10.5 + 0.6)
    assert recovery.due(made, 11.1) == "timeout"
    for _ in range(10):
        assert recovery.due(made, 1000.0) == "timeout"
        recovery.arm(0.0)
    assert recovery.rto == RTO_MOST
    recovery.acknowledged(Acked(1, None, None, 1), 1001.0)
    assert recovery.timeouts == 0 and not recovery.probed


def test_a_single_packet_is_given_time_to_be_acknowledged() -> None:
    recovery, made = measured(), flight(1)
    recovery.arm(10.0)
    assert recovery.deadline(made) == pytest.approx(10.225)
    recovery.disarm()
    assert recovery.deadline(made) is None and recovery.due(made, 99.0) == ""


def test_another_path_is_measured_anew() -> None:
    recovery = measured()
    recovery.moved()
    assert recovery.smoothed is None and recovery.rto == RTO_FIRST
    assert recovery.deadline(flight(3)) is None


def test_an_answer_too_quick_to_be_one_is_not_taken_for_it() -> None:
    recovery, made = measured(), flight(2, 2)
    made.lose(FIRST)
    made.resend(FIRST, 12.0)
    recovery.acknowledged(made.acknowledge(FIRST, ()), 12.01)
    assert recovery.detect(made, 12.01) == 0
