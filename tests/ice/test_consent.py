"""Liveness and consent: two timers, and what they make of loss, long ways and stalls."""

from __future__ import annotations

import itertools

import pytest

from atmosphere.ice.consent import Consent, Health


def probe(consent: Consent, at: float, answer: float | None = None) -> None:
    consent.sent(at)
    if answer is not None:
        consent.answered(at, answer - at, answer)


def test_health_by_the_seconds_since_the_last_answer() -> None:
    consent = Consent(100.0)
    assert consent.health(102.4) is Health.ALIVE
    assert consent.deadline(100.0) == 102.5
    assert consent.health(102.5) is Health.SUSPECT
    assert consent.deadline(102.5) == 103.0
    assert consent.health(103.0) is Health.LOST
    assert consent.deadline(103.0) == 130.0
    assert consent.health(130.0) is Health.EXPIRED
    assert consent.deadline(130.0) == float("inf")


def test_data_shows_life_for_a_while_but_not_consent() -> None:
    consent = Consent(100.0)
    consent.heard(104.0)
    assert consent.quiet(104.5) == 0.5
    assert consent.health(104.5) is Health.ALIVE
    consent.heard(129.0)
    assert consent.health(107.4) is Health.ALIVE
    assert consent.deadline(107.4) == 107.5
    assert consent.health(107.5) is Health.SUSPECT
    assert consent.health(108.0) is Health.LOST
    assert consent.health(130.0) is Health.EXPIRED


def test_a_stall_of_our_own_gives_answers_a_moment() -> None:
    consent = Consent(100.0)
    consent.stalled(110.0)
    assert consent.health(110.0) is Health.ALIVE
    assert consent.health(110.6) is Health.SUSPECT
    consent.answered(100.0, None, 110.7)
    consent.stalled(110.8)
    assert consent.quiet(110.8) == pytest.approx(0.1)


def test_checks_come_every_second_or_so_and_never_at_a_beat() -> None:
    consent, at, gaps = Consent(0.0), 0.0, []
    for _ in range(50):
        then = consent.next_check_at()
        gaps.append(then - at)
        at = then
        probe(consent, at, at + 0.01)
    assert all(0.79 < gap < 1.21 for gap in gaps)
    assert max(gaps) - min(gaps) > 0.3
    assert sum(gaps) / 50 == pytest.approx(1.0, abs=0.05)
    assert Consent(0.0, seed=1).next_check_at() != Consent(0.0, seed=2).next_check_at()


def test_a_missing_answer_quickens_the_pace_for_a_while() -> None:
    consent = Consent(0.0)
    for at in (1.0, 2.0, 3.0):
        probe(consent, at, at + 0.01)
    probe(consent, 4.0)
    sent: list[float] = []
    while len(sent) < 40:
        at = consent.next_check_at()
        sent.append(at)
        consent.sent(at)
    assert sent[0] == 4.25
    gaps = [later - earlier for earlier, later in itertools.pairwise(sent)]
    assert gaps[:15] == pytest.approx([0.25] * 15)
    assert gaps[-1] == pytest.approx(1.0)


def test_a_long_round_trip_widens_the_limits_and_is_no_loss() -> None:
    consent = Consent(0.0, rtt=1.0)
    for at in range(1, 20):
        probe(consent, float(at), at + 1.0)
    assert consent.rtt == pytest.approx(1.0)
    assert consent.jitter < 0.01
    assert consent.allowance == pytest.approx(0.5, abs=0.05)
    assert consent.health(consent.answered_at + 3.2) is Health.SUSPECT
    assert consent.loss == 0
    consent.sent(20.0)
    assert consent.next_check_at() > 20.8, "an answer still on its way is not missing"


def test_the_allowance_is_bounded_and_a_short_way_has_none() -> None:
    assert Consent(0.0, rtt=20.0).allowance == 2.0
    assert Consent(0.0, rtt=0.05).allowance == 0.0
    assert Consent(0.0).allowance == 0.0


def test_loss_counts_what_stayed_unanswered_before_the_last_answer() -> None:
    consent = Consent(0.0)
    assert consent.loss == 0
    for at in range(10):
        probe(consent, float(at), None if at % 2 else at + 0.1)
    assert consent.loss == pytest.approx(4 / 9)
    for at in range(10, 15):
        consent.sent(float(at))
    assert consent.loss == pytest.approx(4 / 9), "a path that dies does not look lossy"
    consent.answered(9.0, None, 20.0)
    assert consent.loss == pytest.approx(4 / 10), "late, but answered"


def test_a_lossy_path_is_asked_more_often() -> None:
    consent = Consent(0.0)
    for at in range(10):
        probe(consent, float(at), None if at % 3 == 1 else at + 0.1)
    assert consent.next_check_at() - 9.0 < 0.61
    consent.sent(10.0)
    assert consent.next_check_at() < 10.7
    consent.sent(10.7)
    assert consent.next_check_at() == pytest.approx(10.82)


def test_round_trips_are_smoothed_and_an_ambiguous_one_is_not_taken() -> None:
    consent = Consent(0.0)
    consent.answered(0.0, None, 1.0)
    assert not consent.rtt
    consent.answered(0.0, 0.2, 1.0)
    assert [consent.rtt, consent.jitter] == [0.2, 0.1]
    consent.answered(0.0, 0.2, 2.0)
    assert consent.rtt == pytest.approx(0.2)
    assert consent.jitter == pytest.approx(0.075)
