"""Which pair is nominated, and which nomination is followed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.nomination import Nominations, Nominator
from atmosphere.ice.pair import CandidatePair, PairState
from tests.ice.vnet import make_candidate


def make(*relayed: bool) -> tuple[CheckList, list[CandidatePair]]:
    """A list with pairs in progress since 0, best first."""
    pairs = CheckList("any")
    pairs.controlling = True
    pairs.add_local(make_candidate("host", ("10.0.0.1", 1)), 1, 0.0)
    for number, is_relayed in enumerate(relayed):
        endpoint = ("203.0.113.1", 1 + number)
        pairs.add_remote(make_candidate("relay" if is_relayed else "host", endpoint, preference=100 - number), 0.0)
    found = list(pairs)
    for pair in found:
        pair.state, pair.first_sent_at = PairState.IN_PROGRESS, 0.0
    return pairs, found


def succeed(nominator: Nominator, pair: CandidatePair, now: float) -> None:
    pair.state, pair.rtt = PairState.SUCCEEDED, 0.02
    nominator.succeeded(now)


def test_nothing_to_nominate() -> None:
    pairs, _ = make(False)
    assert Nominator(0.05).choose(pairs, 0.0) == (None, math.inf)


def test_the_best_is_nominated_at_once_and_another_after_the_settle() -> None:
    pairs, (best, second) = make(False, False)
    nominator = Nominator(0.05)
    succeed(nominator, second, 1.0)
    assert nominator.choose(pairs, 1.0) == (None, 1.05)
    assert nominator.choose(pairs, 1.05) == (second, math.inf)
    succeed(nominator, best, 1.02)
    assert nominator.choose(pairs, 1.02) == (best, math.inf)


def test_no_settle_for_a_pair_that_gave_up() -> None:
    pairs, (gone, second) = make(False, False)
    nominator = Nominator(0.05)
    gone.state, gone.failures = PairState.FAILED, 1
    succeed(nominator, second, 1.0)
    assert nominator.choose(pairs, 1.0) == (second, math.inf)


def test_a_relay_waits_for_direct_pairs_that_started_lately_but_not_long() -> None:
    pairs, (direct, better_relay, relay) = make(False, True, True)
    nominator = Nominator(0.05)
    succeed(nominator, relay, 0.1)
    pair, until = nominator.choose(pairs, 0.1)
    assert pair is None
    assert until == pytest.approx(0.25), "the most a relay waits beyond its own success"
    assert nominator.choose(pairs, 0.26) == (relay, math.inf)
    succeed(nominator, direct, 0.2)
    assert nominator.choose(pairs, 0.2) == (direct, math.inf)
    assert better_relay.state is PairState.IN_PROGRESS


def test_a_relay_that_comes_late_does_not_wait_for_what_was_silent_so_far() -> None:
    pairs, (direct, relay) = make(False, True)
    nominator = Nominator(0.05)
    succeed(nominator, relay, 2.0)
    assert nominator.choose(pairs, 2.0) == (relay, math.inf)
    direct.first_sent_at = math.inf  # not even sent: that is recent
    pair, until = nominator.choose(pairs, 2.0)
    assert pair is None
    assert until == pytest.approx(2.15)


def test_upgrades() -> None:
    pairs, (best, second, relay, other_relay) = make(False, False, True, True)
    nominator = Nominator(0.05)
    assert not nominator.is_upgrade(pairs, best, 0.0), "nothing is selected"
    for pair in (best, second, relay, other_relay):
        succeed(nominator, pair, 0.0)
    pairs.selected = second
    assert nominator.is_upgrade(pairs, best, 0.0)
    assert not nominator.is_upgrade(pairs, second, 0.0)
    assert not nominator.is_upgrade(pairs, relay, 0.0)
    pairs.selected = relay
    assert nominator.is_upgrade(pairs, second, 0.0)
    assert not nominator.is_upgrade(pairs, other_relay, 0.0)
    second.distrusted_until = 5.0
    assert not nominator.is_upgrade(pairs, second, 4.9)
    assert nominator.is_upgrade(pairs, second, 5.0)
    second.state = PairState.FAILED
    assert not nominator.is_upgrade(pairs, second, 5.0)


def test_the_better_end_of_a_pair_is_not_worth_moving_for() -> None:
    pairs, (best, second) = make(False, False)
    nominator = Nominator(0.05)
    pairs.selected = second
    for pair in (best, second):
        succeed(nominator, pair, 0.0)
        pair.local = replace(pair.local, priority=7)
    assert pairs.rank(best) > pairs.rank(second)
    assert not nominator.is_upgrade(pairs, best, 0.0)


def test_a_better_rank_is_not_worth_a_longer_way_but_direct_always_is() -> None:
    pairs, (best, second, relay) = make(False, False, True)
    nominator = Nominator(0.05)
    for pair in (best, second, relay):
        succeed(nominator, pair, 0.0)
    best.rtt = 0.1
    pairs.selected = second
    assert not nominator.is_upgrade(pairs, best, 0.0)
    second.rtt = None
    assert nominator.is_upgrade(pairs, best, 0.0)
    pairs.selected = relay
    assert nominator.is_upgrade(pairs, best, 0.0)


def test_without_counters_the_best_valid_nominated_pair_counts() -> None:
    pairs, (best, second, third) = make(False, False, False)
    nominations = Nominations()
    assert nominations.current(pairs) is None
    for pair in (third, best, second):
        nominations.heard(pair, None, steady=True)
    assert nominations.current(pairs) is None
    second.state = third.state = PairState.SUCCEEDED
    assert nominations.current(pairs) is second
    best.state = PairState.SUCCEEDED
    assert nominations.current(pairs) is best


def test_the_highest_counter_counts() -> None:
    pairs, (best, second, third) = make(False, False, False)
    nominations = Nominations()
    best.state = second.state = PairState.SUCCEEDED
    nominations.heard(best, 1, steady=True)
    assert nominations.current(pairs) is best
    nominations.heard(second, 3, steady=True)
    assert nominations.current(pairs) is second
    nominations.heard(best, 2, steady=True)
    nominations.heard(best, None, steady=True)
    nominations.heard(best, 3, steady=True)
    assert nominations.current(pairs) is second, "old, uncounted and replayed ones do not count"
    nominations.heard(best, 3, steady=False)
    assert nominations.current(pairs) is best, "but a rebound address does, once the path is quiet"
    nominations.heard(third, 4, steady=True)
    assert nominations.current(pairs) is None, "it has to be checked first"
    third.state = PairState.SUCCEEDED
    assert nominations.current(pairs) is third


def test_a_preference_of_our_own_lasts_until_the_next_nomination() -> None:
    pairs, (best, second) = make(False, False)
    best.state = second.state = PairState.SUCCEEDED
    uncounted = Nominations()
    uncounted.prefer(second)
    assert uncounted.current(pairs) is second
    counted = Nominations()
    counted.heard(best, 1, steady=True)
    counted.prefer(second)
    assert counted.current(pairs) is second
    counted.heard(best, 2, steady=True)
    assert counted.current(pairs) is best


def test_a_much_shorter_round_trip_wins_ever_more_rarely() -> None:
    pairs, (best, second) = make(False, False)
    nominator = Nominator(0.05)
    pairs.selected = best
    for pair, rtt in ((best, 0.2), (second, 0.02)):
        pair.state = PairState.SUCCEEDED
        pair.rtt, pair.rtt_samples = rtt, 2
    assert not nominator.is_upgrade(pairs, second, 0.0), "not measured often enough"
    best.rtt_samples = second.rtt_samples = 3
    assert nominator.is_upgrade(pairs, second, 0.0)
    assert not nominator.is_upgrade(pairs, second, 299.0)
    assert nominator.is_upgrade(pairs, second, 300.0)
    assert not nominator.is_upgrade(pairs, second, 899.0)
    assert nominator.is_upgrade(pairs, second, 900.0)


def test_what_needs_no_udp_is_not_preferred_for_its_round_trip() -> None:
    pairs, (best, second) = make(False, False)
    pairs.selected = best
    for pair, rtt, via in ((best, 0.2, "udp"), (second, 0.02, "tcp")):
        pair.state = PairState.SUCCEEDED
        pair.rtt, pair.rtt_samples = rtt, 3
        pair.base_candidate = replace(make_candidate("relay", ("198.51.100.2", 2)), relay_protocol=via)  # type: ignore[arg-type]
    assert not Nominator(0.05).is_upgrade(pairs, second, 0.0)
    pairs.selected = second
    best.rtt = 0.02
    second.rtt = 0.2
    assert Nominator(0.05).is_upgrade(pairs, best, 0.0)
