"""When pairs are checked again."""

from __future__ import annotations

import math

from atmosphere.ice.candidate import candidate_priority
from atmosphere.ice.checklist import CheckList
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.schedule import CONNECTED_LIFETIME, CONNECTING_LIFETIME, next_round, round_lifetime, rush
from atmosphere.ice.tcp_candidates import tcp_host
from tests.ice.vnet import make_candidate


def make(*relayed: bool) -> tuple[CheckList, list[CandidatePair]]:
    """A list with pairs, best first."""
    pairs = CheckList("any")
    pairs.add_local(make_candidate("host", ("10.0.0.1", 1)), 1, 0.0)
    for number, is_relayed in enumerate(relayed):
        endpoint = ("203.0.113.1", 1 + number)
        pairs.add_remote(make_candidate("relay" if is_relayed else "host", endpoint, preference=100 - number), 0.0)
    return pairs, list(pairs)


def waits(pairs: CheckList, pair: CandidatePair, count: int) -> list[float]:
    found = []
    for failures in range(1, count + 1):
        pair.state, pair.failures = PairState.FAILED, failures
        found.append(next_round(pairs, pair, 100.0) - 100.0)
    return [round(wait, 3) for wait in found]


def test_without_a_path_everything_is_retried_for_ever() -> None:
    pairs, (pair,) = make(False)
    assert waits(pairs, pair, 6) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    pair.failures = 10**6
    assert next_round(pairs, pair, 0.0) == 4.0
    assert round_lifetime(pairs) == CONNECTING_LIFETIME


def test_better_pairs_than_a_relayed_path_are_retried_for_ever() -> None:
    pairs, (direct, relayed) = make(False, True)
    pairs.selected = relayed
    assert waits(pairs, direct, 9) == [0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0]
    assert next_round(pairs, relayed, 0.0) == math.inf
    assert round_lifetime(pairs) == CONNECTED_LIFETIME


def test_better_pairs_than_a_direct_path_for_a_while_and_worse_ones_hardly() -> None:
    pairs, (better, selected, worse) = make(False, False, False)
    pairs.selected = selected
    assert waits(pairs, better, 9) == [0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0, math.inf]
    assert waits(pairs, worse, 3) == [0.1, 0.5, math.inf]


def test_what_was_merely_heard_from_is_left_to_its_own_checks() -> None:
    pairs, (selected,) = make(True)
    pairs.selected = selected
    heard = pairs.discover(1, ("203.0.113.9", 9), candidate_priority("prflx"), 0.0)
    assert heard is not None
    assert waits(pairs, heard, 1) == [math.inf]
    heard.answered_at = 50.0
    assert waits(pairs, heard, 1) == [0.1]


def test_answered_pairs_are_kept_warm_or_left_to_prove_themselves() -> None:
    pairs, found = make(*[False] * 6)
    for pair in found:
        pair.state, pair.rtt_samples = PairState.SUCCEEDED, 2
    pairs.selected = found[0]
    assert next_round(pairs, found[1], 100.0) == 102.0, "its round trip is not known well yet"
    found[1].checks_sent = 12
    assert next_round(pairs, found[1], 100.0) >= 120.0, "nor will it be"
    for pair in found:
        pair.rtt_samples = 3
    planned = [next_round(pairs, pair, 100.0) for pair in found]
    assert [planned[0], *planned[4:]] == [math.inf] * 3
    assert all(120 <= when <= 125 for when in planned[1:4])
    found[1].checks_sent += 1
    assert next_round(pairs, found[1], 100.0) != planned[1], "never at a beat"
    pairs.rest = 6.0
    assert 108 <= next_round(pairs, found[1], 100.0) <= 110
    found[1].distrusted_until = 100.5
    assert next_round(pairs, found[1], 100.0) == 101.0
    found[1].distrusted_until = 130.0
    assert next_round(pairs, found[1], 100.0) == 130.0
    pairs.selected, found[1].unfit_until = None, 105.0
    assert next_round(pairs, found[1], 100.0) == 105.0, "without any path the rest of the hold-down is not waited for"


def test_a_rush_leaves_out_what_is_checked_already() -> None:
    pairs, found = make(False, False, False, False)
    selected, valid, failed, busy = found
    pairs.selected = selected
    for pair in found:
        pair.due_at, pair.failures = math.inf, 5
    valid.state, failed.state, busy.in_round = PairState.SUCCEEDED, PairState.FAILED, True
    rush(pairs, 7.0, only_valid=True)
    assert [pair.due_at for pair in found] == [math.inf, 7.0, math.inf, math.inf]
    rush(pairs, 8.0, only_valid=False)
    assert [pair.due_at for pair in found] == [math.inf, 8.0, 8.0, math.inf]
    assert failed.failures == 0


def test_udp_is_retried_for_ever_while_the_path_is_over_tcp() -> None:
    pairs, (direct,) = make(False)
    host = make_candidate("host", ("10.0.0.1", 1))
    remote = tcp_host(make_candidate("host", ("203.0.113.1", 1)), "passive", 7777)
    pairs.selected = pairs.add_connection(tcp_host(host, "active"), 7, remote, 0.0)
    assert waits(pairs, direct, 9)[-3:] == [16.0, 16.0, 16.0]
