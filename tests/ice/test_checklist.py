"""The check list: what is paired with what, in which order it is checked, and what is dropped when it is too much."""

from __future__ import annotations

import math
from dataclasses import replace

from atmosphere.ice.candidate import Candidate, candidate_priority
from atmosphere.ice.checklist import (
    DISCOVERED_FOR,
    MAX_PAIRS,
    MAX_PEER_REFLEXIVE,
    MAX_REMOTES,
    CheckList,
    PathPolicy,
)
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.tcp_candidates import remote_active, tcp_host
from tests.ice.vnet import make_candidate

HOST = make_candidate("host", ("10.0.0.1", 1))
RELAY = make_candidate("relay", ("198.51.100.2", 1))
PRFLX = candidate_priority("prflx")


def remote(number: int, *, preference: int = 65535) -> tuple[str, int]:
    return (f"203.0.113.{number % 250 + 1}", 1000 + number)


def make(policy: PathPolicy = "any") -> CheckList:
    pairs = CheckList(policy)
    pairs.controlling = True
    pairs.add_local(HOST, 1, 0.0)
    pairs.add_local(RELAY, 2, 0.0)
    return pairs


def discover(pairs: CheckList, number: int, now: float = 0.0) -> CandidatePair | None:
    return pairs.discover(1, remote(number), PRFLX, now)


def succeed(pair: CandidatePair | None, now: float = 0.0) -> CandidatePair:
    assert pair is not None
    pair.state, pair.answered_at, pair.due_at = PairState.SUCCEEDED, now, math.inf
    return pair


def test_every_base_is_paired_with_every_remote_in_any_order() -> None:
    pairs = CheckList("any")
    assert pairs.add_remote(make_candidate("host", remote(1)), 0.0)
    pairs.add_local(HOST, 1, 0.0)
    assert pairs.add_remote(make_candidate("host", remote(2)), 0.0)
    pairs.add_local(RELAY, 2, 0.0)
    assert pairs.add_remote(make_candidate("host", ("2001:db8::1", 1)), 0.0)
    pairs.add_local(make_candidate("host", ("2001:db8::2", 1)), 3, 0.0)
    assert {(pair.base, pair.remote.address) for pair in pairs} == {
        (1, "203.0.113.2"),
        (1, "203.0.113.3"),
        (2, "203.0.113.2"),
        (2, "203.0.113.3"),
        (3, "2001:db8::1"),
    }
    assert len(pairs) == 5


def test_a_base_is_added_once_and_a_reflexive_candidate_is_none() -> None:
    pairs = make()
    pairs.add_remote(make_candidate("host", remote(1)), 0.0)
    pairs.add_local(HOST, 1, 0.0)
    pairs.add_local(make_candidate("srflx", ("203.0.113.9", 5)), 1, 0.0)
    assert len(pairs) == 2
    assert set(pairs.bases) == {1, 2}


def test_policies() -> None:
    host, relay = make_candidate("host", remote(1)), make_candidate("relay", remote(2))
    direct = make("direct")
    assert set(direct.bases) == {1}
    assert direct.add_remote(host, 0.0)
    assert not direct.add_remote(relay, 0.0)
    assert direct.discover(1, remote(3), candidate_priority("relay"), 0.0) is None
    assert direct.discover(1, remote(3), PRFLX, 0.0) is not None
    relayed = make("relay")
    assert set(relayed.bases) == {2}
    assert relayed.add_remote(host, 0.0)
    assert relayed.add_remote(relay, 0.0)
    assert relayed.discover(1, remote(3), PRFLX, 0.0) is None


def test_remotes_are_usable_new_and_bounded() -> None:
    pairs = make()
    candidate = make_candidate("host", remote(1))
    assert pairs.add_remote(candidate, 0.0)
    assert not pairs.add_remote(candidate, 0.0)
    assert not pairs.add_remote(replace(candidate, type="srflx"), 0.0)
    assert not pairs.add_remote(replace(candidate, port=0), 0.0)
    for number in range(2, 2 * MAX_REMOTES):
        pairs.add_remote(make_candidate("host", remote(number)), 0.0)
    assert len(pairs.remotes) == MAX_REMOTES
    assert len(pairs) == MAX_PAIRS


def test_the_worst_unanswered_pairs_are_dropped_and_reported() -> None:
    pairs = make()
    first = pairs.discover(2, remote(0), PRFLX, 0.0)
    pairs.selected = succeed(first)
    for number in range(1, MAX_REMOTES):
        pairs.add_remote(make_candidate("host", remote(number)), 0.0)
    assert first in list(pairs)
    assert sum(pair.base == 1 for pair in pairs) == MAX_REMOTES - 1
    report = pairs.report()
    assert report[-1].why == "more pairs than are checked"
    assert [line.selected for line in report].count(True) == 1
    worse = replace(make_candidate("host", ("203.0.113.254", 9)), priority=1)
    pairs.remotes.popitem()
    pairs.add_local(make_candidate("host", ("10.0.0.9", 1)), 3, 0.0)
    assert pairs.add_remote(worse, 0.0)
    assert pairs.find(2, worse.endpoint) is None


def test_the_remotes_own_word_replaces_what_was_discovered() -> None:
    pairs = make()
    pair = discover(pairs, 1)
    assert pair is not None
    assert pair.remote.type == "prflx"
    assert discover(pairs, 1) is pair
    told = make_candidate("relay", remote(1))
    assert pairs.add_remote(told, 0.0)
    assert pair.remote == told
    assert pair.is_relayed
    assert len(pairs) == 2, "the relay base is paired with it now"


def test_an_unusable_source_is_not_discovered() -> None:
    pairs = make()
    assert pairs.discover(1, ("203.0.113.1", 0), PRFLX, 0.0) is None
    assert pairs.discover(1, remote(1), 0, 0.0) is None
    assert pairs.discover(1, ("2001:db8::1", 5), PRFLX, 0.0) is None, "another family"
    assert pairs.discover(9, remote(1), PRFLX, 0.0) is None, "no such base"


def test_discoveries_are_bounded_in_number_and_in_pace() -> None:
    pairs = make()
    first = succeed(discover(pairs, 0))
    pairs.selected = first
    for number in range(1, MAX_PEER_REFLEXIVE):
        assert discover(pairs, number) is not None
    assert discover(pairs, 99, now=DISCOVERED_FOR - 1) is None
    assert discover(pairs, 5, now=DISCOVERED_FOR - 1) is not None, "known already"
    assert discover(pairs, 99, now=DISCOVERED_FOR) is not None
    assert pairs.find(*first.key) is first, "the selected one stays"
    assert pairs.find(1, remote(1)) is None
    assert len(pairs.remotes) == MAX_PEER_REFLEXIVE
    assert discover(pairs, 1, now=DISCOVERED_FOR) is not None
    pairs.selected = None
    assert discover(pairs, 98, now=DISCOVERED_FOR) is not None
    assert pairs.find(*first.key) is None


def test_dropped_pairs_are_told() -> None:
    pairs = make()
    keys = [pair.key for number in range(MAX_PEER_REFLEXIVE) if (pair := discover(pairs, number)) is not None]
    assert pairs.dropped == []
    discover(pairs, 99, now=DISCOVERED_FOR)
    assert pairs.dropped == keys[:1]
    pairs.remove_base(1)
    assert set(pairs.dropped) == {*keys, (1, remote(99))}


def test_order_triggered_then_new_by_rank_then_answered_then_retried() -> None:
    pairs = make()
    for number, preference in ((1, 10), (2, 30), (3, 20)):
        pairs.add_remote(make_candidate("host", remote(number), preference=preference), 0.0)
    retried, answered = pairs.find(2, remote(1)), pairs.find(2, remote(2))
    triggered = pairs.find(2, remote(3))
    assert retried is not None
    assert answered is not None
    assert triggered is not None
    retried.state = PairState.FAILED
    answered.state = PairState.SUCCEEDED
    pairs.trigger(triggered)
    pairs.trigger(triggered)
    assert pairs.next_due() == -math.inf
    order = []
    while (pair := pairs.next_pair(0.0)) is not None:
        pair.due_at = math.inf
        order.append(pair)
    assert [(pair.base, pair.remote.port) for pair in order] == [
        (2, 1003),
        (1, 1002),
        (1, 1003),
        (1, 1001),
        (2, 1002),
        (2, 1001),
    ]
    assert pairs.next_due() == math.inf
    retried.due_at = 7.0
    assert pairs.next_due() == 7.0
    assert pairs.next_pair(6.9) is None
    assert pairs.next_pair(7.0) is retried


def test_a_base_that_goes_takes_its_pairs_along() -> None:
    pairs = make()
    pairs.add_remote(make_candidate("host", remote(1)), 0.0)
    pairs.add_local(make_candidate("srflx", ("203.0.113.9", 5)), 1, 0.0)
    gone = pairs.find(1, remote(1))
    assert gone is not None
    pairs.trigger(gone)
    pairs.remove_base(1)
    pairs.remove_base(1)
    assert [pair.base for pair in pairs] == [2]
    assert pairs.next_pair(0.0) is not gone
    assert gone.state is PairState.FAILED
    assert pairs.report()[-1].why == "the local address went away"


def test_the_true_local_candidate_is_what_the_remote_sees() -> None:
    pairs = make()
    pairs.add_remote(make_candidate("host", remote(1)), 0.0)
    pair = pairs.find(1, remote(1))
    assert pair is not None
    pairs.set_mapped(pair, HOST.endpoint)
    assert pair.local == HOST
    pairs.set_mapped(pair, ("203.0.113.9", 5))
    assert pair.local.type == "prflx"
    assert pair.local.related_address == HOST.address
    assert pair.local.priority >> 24 == 110
    # STUN tells the same address a little later.
    reflexive = make_candidate("srflx", ("203.0.113.9", 5), related=HOST.endpoint)
    pairs.add_local(reflexive, 1, 0.0)
    assert pair.local == reflexive
    pairs.set_mapped(pair, ("203.0.113.9", 6))
    assert pair.local.type == "prflx"
    pairs.set_mapped(pair, ("203.0.113.9", 5))
    assert pair.local == reflexive
    pairs.set_mapped(pair, HOST.endpoint)
    assert pair.local == HOST


def test_spares_are_the_three_best_and_a_relayed_one() -> None:
    pairs = make()
    for number in range(1, 6):
        pairs.add_remote(make_candidate("host", remote(number), preference=100 - number), 0.0)
    for pair in pairs:
        succeed(pair)
    pairs.selected = pairs.best_valid(0.0)
    spares = [(pair.base, pair.remote.port) for pair in pairs if pairs.is_spare(pair) and pair is not pairs.selected]
    assert sorted(spares) == [(1, 1002), (1, 1003), (1, 1004), (2, 1001)]
    assert pairs.best_valid(0.0, besides=pairs.selected) is pairs.find(1, remote(2))


def test_what_needs_no_udp_is_kept_warm_too() -> None:
    pairs = make()
    over_websocket = replace(make_candidate("relay", ("198.51.100.2", 2), preference=1), relay_protocol="ws")
    pairs.add_local(over_websocket, 3, 0.0)
    for number in range(1, 6):
        pairs.add_remote(make_candidate("host", remote(number), preference=100 - number), 0.0)
    for pair in pairs:
        succeed(pair)
    pairs.selected = pairs.best_valid(0.0)
    spares = [(pair.base, pair.remote.port) for pair in pairs if pairs.is_spare(pair) and pair.base != 1]
    assert spares == [(2, 1001), (3, 1001)]


def test_remotes_that_failed_make_room_for_new_ones() -> None:
    pairs = make()
    for number in range(MAX_REMOTES):
        pairs.add_remote(make_candidate("host", remote(number)), 0.0)
    for pair in pairs:
        pair.state = PairState.FAILED
    succeed(pairs.find(1, remote(0)))
    assert pairs.add_remote(make_candidate("host", remote(MAX_REMOTES)), 0.0)
    assert remote(0) in pairs.remotes
    assert remote(1) not in pairs.remotes
    assert pairs.find(1, remote(1)) is None
    assert pairs.find(1, remote(MAX_REMOTES)) is not None


ACTIVE = tcp_host(HOST, "active")


def passive(number: int) -> Candidate:
    return tcp_host(make_candidate("host", remote(number)), "passive", remote(number)[1])


def test_a_connection_is_a_base_with_one_remote() -> None:
    pairs = make()
    pairs.add_remote(make_candidate("host", remote(1)), 0.0)
    pair = pairs.add_connection(ACTIVE, 7, passive(1), 0.0)
    assert pair is not None
    assert (pair.local, pair.remote) == (ACTIVE, passive(1))
    pairs.add_remote(make_candidate("host", remote(2)), 0.0)
    assert [one.remote for one in pairs if one.base == 7] == [passive(1)]
    assert pairs.add_connection(ACTIVE, 7, passive(2), 0.0) is None, "the base is taken"
    pairs.remove_base(7)
    assert not [one for one in pairs if one.base == 7]
    assert pairs.dropped == [(7, remote(1))]


def test_a_check_over_a_connection_finds_its_pair_and_makes_no_other() -> None:
    pairs = make()
    pair = pairs.add_connection(tcp_host(HOST, "passive", 7777), 7, remote_active(remote(1), PRFLX), 0.0)
    assert pairs.discover(7, remote(1), PRFLX, 0.0) is pair
    assert pairs.discover(7, remote(2), PRFLX, 0.0) is None
    assert not pairs.remotes


def test_policies_hold_for_connections() -> None:
    assert make("relay").add_connection(ACTIVE, 7, passive(1), 0.0) is None
    assert make("direct").add_connection(ACTIVE, 7, passive(1), 0.0) is not None
    as_relay = remote_active(remote(1), 1)
    assert make("direct").add_connection(tcp_host(HOST, "passive", 1), 7, as_relay, 0.0) is None


def test_the_best_that_needs_no_udp_is_kept_warm() -> None:
    pairs = make()
    for number in range(5):
        pairs.add_remote(make_candidate("host", remote(number)), 0.0)
        succeed(pairs.find(1, remote(number)))
    over_tcp = succeed(pairs.add_connection(ACTIVE, 7, passive(9), 0.0))
    assert pairs.is_spare(over_tcp)
