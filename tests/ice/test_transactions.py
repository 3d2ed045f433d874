"""Checks on their way: when they are repeated, given up, answered late, forgotten."""

from __future__ import annotations

import math
import os

from atmosphere.ice.pair import CandidatePair
from atmosphere.ice.transactions import MAX_REMEMBERED, REMEMBERED, Check, Transactions
from tests.ice.vnet import make_candidate

HOST = make_candidate("host", ("192.0.2.1", 1))


def pair(base: int = 1) -> CandidatePair:
    return CandidatePair(base=base, base_candidate=HOST, remote=HOST, local=HOST, due_at=0.0)


def check(of: CandidatePair, at: float = 0.0) -> Check:
    return Check(of, os.urandom(12), b"", True, at)


def test_a_round_is_repeated_with_growing_pauses_until_given_up() -> None:
    transactions, sent = Transactions(), [0.0]
    one = check(pair())
    transactions.add(one, lifetime=5.0)
    while not (over := transactions.given_up(now := transactions.deadline())):
        sent += [now for _ in transactions.due(now)]
    assert sent == [0.0, 0.25, 0.75, 1.75, 2.75, 3.75, 4.75]
    assert over == [one]
    assert one.sends == 7
    assert transactions.deadline() == math.inf
    assert transactions.find(one.transaction_id) is one, "a late answer still counts"


def test_a_pair_that_was_heard_from_is_tried_faster() -> None:
    transactions = Transactions()
    of = pair()
    of.authenticated = True
    transactions.add(check(of), lifetime=5.0)
    times = []
    for _ in range(4):
        times.append(round(transactions.deadline(), 2))
        list(transactions.due(transactions.deadline()))
    assert times == [0.25, 0.55, 0.85, 1.15]


def test_a_single_check_is_never_repeated_and_forgotten_at_last() -> None:
    transactions = Transactions()
    one = check(pair())
    transactions.add(one, lifetime=None)
    assert transactions.deadline() == math.inf
    assert not list(transactions.due(100.0))
    assert not transactions.given_up(REMEMBERED - 1)
    assert one.transaction_id in transactions
    assert not transactions.given_up(REMEMBERED)
    assert one.transaction_id not in transactions


def test_stopping_leaves_newer_rounds_alone() -> None:
    transactions = Transactions()
    of, other = pair(), pair()
    old, new = check(of, 1.0), check(of, 2.0)
    for one in (old, new, check(other, 1.0)):
        transactions.add(one, lifetime=5.0)
    assert transactions.stop(of, sent_by=1.0)
    assert old.resend_at == math.inf
    assert new.resend_at == 2.25
    assert not transactions.stop(of)
    assert transactions.deadline() == 1.25, "the other pair's"


def test_what_left_a_base_goes_with_it() -> None:
    transactions = Transactions()
    kept, gone = check(pair(1)), check(pair(2))
    transactions.add(kept, lifetime=1.0)
    transactions.add(gone, lifetime=1.0)
    transactions.drop_base(2)
    assert kept.transaction_id in transactions
    assert gone.transaction_id not in transactions
    transactions.remove(kept)
    transactions.remove(kept)
    assert len(transactions) == 0


def test_there_is_a_bound() -> None:
    transactions = Transactions()
    checks = [check(pair()) for _ in range(MAX_REMEMBERED + 5)]
    for one in checks:
        transactions.add(one, lifetime=None)
    assert len(transactions) == MAX_REMEMBERED
    assert checks[0].transaction_id not in transactions
    assert checks[-1].transaction_id in transactions
