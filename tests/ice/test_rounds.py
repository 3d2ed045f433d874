"""Rounds of checks: paced, repeated, answered once."""

from __future__ import annotations

import math

import pytest

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.checks import Role, build_answer, build_role_conflict
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.rounds import Rounds
from atmosphere.stun.message import Message, decode, encode
from tests.ice.vnet import make_candidate

LOCAL = IceCredentials("ufragAAA", "a" * 24)
REMOTE = IceCredentials("ufragBBB", "b" * 24)


def make(remotes: int = 1, *, remote: IceCredentials | None = REMOTE) -> tuple[Rounds, CheckList, list[CandidatePair]]:
    pairs = CheckList("any")
    pairs.add_local(make_candidate("host", ("10.0.0.1", 1)), 1, 0.0)
    for number in range(remotes):
        pairs.add_remote(make_candidate("host", ("10.0.0.2", 1 + number), preference=100 - number), 0.0)
    return Rounds(LOCAL, remote, Role(True, 1), pairs, 0.0), pairs, list(pairs)


def answer(rounds: Rounds, index: int = -1) -> Message:
    request = decode(rounds.out[index].data)
    return decode(encode(build_answer(request, ("10.0.0.1", 1), REMOTE)))


def test_checks_are_paced_best_first() -> None:
    rounds, _, found = make(3)
    times = []
    for _ in found:
        now = max(rounds.deadline(), 0.0)
        times.append(now)
        rounds.check_next(now)
        rounds.check_next(now)
    assert times == pytest.approx([0.0, 0.01, 0.02])
    assert [transmit.destination[1] for transmit in rounds.out] == [1, 2, 3]
    assert all(pair.state is PairState.IN_PROGRESS and pair.in_round and pair.due_at == math.inf for pair in found)


def test_nothing_is_checked_before_the_remote_is_known() -> None:
    rounds, _, (pair,) = make(remote=None)
    rounds.check_next(0.0)
    assert not rounds.out
    assert rounds.deadline() == math.inf
    rounds.remote = REMOTE
    rounds.check_next(0.0)
    assert len(rounds.out) == 1
    rounds.remote = None
    with pytest.raises(AssertionError):
        rounds.start(pair, 0.0)


def test_a_round_fails_after_its_time_and_another_is_planned() -> None:
    rounds, _, (pair,) = make()
    rounds.check_next(0.0)
    while pair.state is PairState.IN_PROGRESS:
        rounds.repeat(rounds.deadline())
    assert pair.state is PairState.FAILED
    assert pair.why == "no answer within 5 s"
    assert (pair.failures, pair.checks_sent, pair.due_at) == (1, 7, 5.5)
    assert not pair.in_round


def test_a_round_over_a_pair_that_answered_otherwise_is_no_failure() -> None:
    rounds, pairs, (pair,) = make()
    rounds.start(pair, 0.0)
    pair.state, pair.answered_at, pair.rtt_samples = PairState.SUCCEEDED, 1.0, 3
    rounds.repeat(5.0)
    assert pair.is_valid
    assert 25.0 <= pair.due_at <= 30.0
    pairs.selected = pair
    rounds.start(pair, 30.0)
    rounds.repeat(32.0)
    assert pair.is_valid, "the selected pair's health is not for rounds to judge"
    assert pair.due_at == math.inf


def test_an_answer_counts_once_and_only_if_signed_by_the_remote() -> None:
    rounds, _, (pair,) = make()
    rounds.start(pair, 0.0)
    message = answer(rounds)
    assert rounds.owns(message.transaction_id)
    forged = decode(encode(build_role_conflict(decode(rounds.out[0].data), LOCAL)))
    assert rounds.answered(forged) is None
    check = rounds.answered(message)
    assert check is not None
    assert check.pair is pair
    assert not pair.in_round
    assert rounds.answered(message) is None
    assert not rounds.owns(message.transaction_id)


def test_a_late_answer_to_a_round_that_was_replaced_counts_and_leaves_the_new_one() -> None:
    rounds, _, (pair,) = make()
    rounds.start(pair, 0.0)
    rounds.start(pair, 1.0)
    assert rounds.answered(answer(rounds, 0)) is not None
    assert pair.in_round
    assert rounds.answered(answer(rounds, 1)) is not None
    assert not pair.in_round


def test_an_answer_over_a_pair_that_is_gone_is_ignored() -> None:
    rounds, pairs, (pair,) = make()
    rounds.start(pair, 0.0)
    message = answer(rounds)
    pairs.remove_base(1)
    assert rounds.answered(message) is None


def test_a_base_takes_its_datagrams_along() -> None:
    rounds, _, (pair,) = make()
    rounds.probe(pair, 0.0, 3)
    assert decode(rounds.out[0].data).attributes["NOMINATION"] == 3
    assert rounds.deadline() == 0.0
    assert not pair.in_round
    transaction = decode(rounds.out[0].data).transaction_id
    rounds.drop_base(2)
    assert rounds.owns(transaction)
    rounds.drop_base(1)
    assert not rounds.owns(transaction)
    assert not rounds.out


def test_what_cannot_be_sent_ends_its_round_but_says_nothing_of_the_selected_pair() -> None:
    rounds, pairs, (pair,) = make()
    rounds.start(pair, 0.0)
    rounds.unsent(pair, "Network is unreachable", 0.0)
    assert (pair.in_round, pair.failures, pair.unsent) == (False, 1, "Network is unreachable")
    assert pair.why == "this machine could not send: Network is unreachable"
    rounds.start(pair, 1.0)
    rounds.repeat(1.3)
    assert not pair.unsent, "the first send of this round left"
    pair.state = PairState.SUCCEEDED
    pairs.selected = pair
    rounds.unsent(pair, "Network is unreachable", 1.3)
    assert pair.is_valid
