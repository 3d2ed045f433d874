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
    consent.sent(101.0)
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
    consent.sent(101.0)
    consent.stalled(110.0)
    assert consent.health(110.0) is Health.ALIVE
    assert consent.health(110.6) is Health.SUSPECT
    consent.answered(101.0, None, 110.7)
    consent.expect(110.7)
    consent.stalled(110.8)
    assert consent.quiet(110.8) == pytest.approx(0.1)


def test_checks_come_every_second_or_so_and_never_at_a_beat() -> None:
    consent, at, gaps = Consent(0.0), 0.0, []
    for _ in range(50):
        then = consent.next_check_at()
        gaps.append(then - at)
        at = then
        consent.expect(at)
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
    consent.expect(20.0)
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
    consent.expect(9.1)
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


def rests(consent: Consent, since: float, *, answer_checks: bool = False) -> list[float]:
    """The gaps between the checks of a resting path, each answered at once."""
    gaps, at = [], since
    probe(consent, at, at + 0.01)
    for _ in range(50):
        if answer_checks:
            consent.checked(at + 0.02)
        then = consent.next_check_at()
        gaps.append(then - at)
        at = then
        probe(consent, at, at + 0.01)
    return gaps


def test_a_resting_path_is_asked_every_dozen_seconds_by_the_side_that_leads() -> None:
    gaps = rests(Consent(0.0), 10.0)
    assert all(11.9 < gap < 15.1 for gap in gaps)
    assert max(gaps) - min(gaps) > 2
    assert max(rests(Consent(0.0, rest=6.0), 10.0)) < 6.1


def test_the_other_side_asks_when_the_leader_does_not_and_for_its_own_consent() -> None:
    assert all(14.9 < gap < 16.6 for gap in rests(Consent(0.0, leads=False), 10.0))
    consent = Consent(0.0, leads=False)
    probe(consent, 10.0, 10.01)
    for at in (20.0, 27.0):
        consent.checked(at)
    assert 27.9 < consent.next_check_at() < 31.1


def test_silence_on_a_resting_path_means_nothing_until_something_is_expected() -> None:
    consent = Consent(0.0)
    probe(consent, 4.0, 4.01)
    assert not consent.is_watched(10.0)
    assert consent.health(16.0) is Health.ALIVE
    assert consent.deadline(10.0) == 34.01
    consent.expect(16.0)
    assert consent.is_watched(16.0)
    assert consent.next_check_at() < 16.0, "at once"
    consent.sent(16.0)
    assert consent.health(17.4) is Health.ALIVE
    assert consent.deadline(16.0) == 17.5
    assert consent.health(17.5) is Health.SUSPECT
    assert consent.quiet(18.0) == 2.0
    assert consent.health(18.9) is Health.SUSPECT
    assert consent.health(19.0) is Health.LOST


def test_further_traffic_does_not_begin_the_watch_anew() -> None:
    consent = Consent(0.0)
    for at in range(20, 23):
        consent.expect(float(at))
        consent.sent(float(at))
    assert consent.health(23.0) is Health.LOST


def test_a_check_that_nobody_waits_for_is_given_more_time() -> None:
    consent = Consent(0.0)
    consent.sent(16.0)
    assert consent.health(17.5) is Health.SUSPECT
    assert consent.health(21.9) is Health.SUSPECT
    assert consent.health(22.0) is Health.LOST
    consent.expect(19.5)
    assert consent.health(19.5) is Health.LOST, "now somebody does"


def test_one_answer_is_enough_for_a_resting_path() -> None:
    consent = Consent(0.0, rtt=0.3)
    for at in (16.0, 16.5, 16.7):
        consent.sent(at)
    consent.answered(16.5, 0.3, 16.8)
    assert not consent.is_watched(16.8)
    assert consent.next_check_at() > 28


def test_a_long_way_has_no_early_suspicion() -> None:
    consent = Consent(0.0, rtt=1.0)
    consent.expect(20.0)
    assert consent.health(20.0 + 1.5 + consent.allowance) is Health.ALIVE
    assert consent.health(20.0 + 2.5 + consent.allowance) is Health.SUSPECT
