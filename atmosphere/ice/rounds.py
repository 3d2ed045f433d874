"""Rounds of checks: a request over a pair, repeated until answered or given up; paced over all pairs (RFC 8445 §14)."""

from __future__ import annotations

import math
from collections.abc import Callable

from atmosphere.ice.candidate import peer_reflexive_priority
from atmosphere.ice.checklist import CheckList
from atmosphere.ice.checks import Role, build_check
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import Transmit
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.schedule import PACE, next_round, round_lifetime
from atmosphere.ice.transactions import Check, Transactions
from atmosphere.stun.message import Message, encode

__all__ = ["Rounds"]


class Rounds:
    """Sends the checks of one agent into `out`, and knows which are unanswered. `remote` may become known later.

    `doubt` tells which nomination of the remote's the checks object to, if any.
    """

    def __init__(
        self, local: IceCredentials, remote: IceCredentials | None, role: Role, pairs: CheckList, now: float
    ) -> None:
        self.remote = remote
        self.out: list[Transmit] = []
        self.doubt: Callable[[], int | None] = lambda: None
        self._local = local
        self._role = role
        self._pairs = pairs
        self._transactions = Transactions()
        self._pace_at = now

    def owns(self, transaction_id: bytes) -> bool:
        """Whether a response with that id may answer a check of ours."""
        return transaction_id in self._transactions

    def start(self, pair: CandidatePair, now: float, nomination: int | None = None) -> None:
        """Check a pair and repeat it for a while; whatever is on its way already is repeated no more."""
        self._transactions.stop(pair)
        if not pair.is_valid:
            pair.state = PairState.IN_PROGRESS
        pair.in_round, pair.due_at = True, math.inf
        pair.first_sent_at = min(pair.first_sent_at, now)
        self._send(pair, now, nomination, lifetime=round_lifetime(self._pairs))

    def probe(self, pair: CandidatePair, now: float, nomination: int | None) -> None:
        """Check a pair once, without a round: an answer counts whenever it comes; silence is the caller's to judge."""
        self._send(pair, now, nomination, lifetime=None)

    def repeat(self, now: float) -> None:
        """Repeat what is unanswered, and give up what has been long enough."""
        for check in self._transactions.due(now):
            check.pair.unsent = ""  # else the round would have ended with the first send
            self._transmit(check, now)
        for check in self._transactions.given_up(now):
            pair = check.pair
            pair.in_round = False
            if pair.answered_at < check.sent_at and pair is not self._pairs.selected:
                self.fail(pair, f"no answer within {now - check.sent_at:.0f} s", now)
            else:
                pair.due_at = next_round(self._pairs, pair, now)

    def check_next(self, now: float) -> None:
        """Start the next pair's round, if one is due and the pace allows."""
        if self.remote is None or now < self._pace_at:
            return
        pair = self._pairs.next_pair(now)
        if pair is not None:
            self.start(pair, now)
            self._pace_at = now + PACE

    def answered(self, message: Message) -> Check | None:
        """The check that an authentic response answers, once; None for anything else."""
        check = self._transactions.find(message.transaction_id)
        if check is None or self.remote is None or not message.check_message_integrity(self.remote.key):
            return None
        self._transactions.remove(check)
        if self._pairs.find(*check.pair.key) is not check.pair:
            return None
        check.pair.in_round = self._transactions.stop(check.pair, sent_by=check.sent_at)
        return check

    def fail(self, pair: CandidatePair, why: str, now: float) -> None:
        """A round ended without success; the next is planned."""
        pair.state, pair.why = PairState.FAILED, why
        pair.failures += 1
        pair.due_at = next_round(self._pairs, pair, now)

    def unsent(self, pair: CandidatePair, why: str, now: float) -> None:
        """This machine could not send the last check: the round ends, for nobody will answer."""
        pair.unsent = why
        if pair.in_round and pair is not self._pairs.selected:
            pair.in_round = self._transactions.stop(pair)
            self.fail(pair, f"this machine could not send: {why}", now)

    def drop_base(self, base: int) -> None:
        """Forget what was sent from a base, and what was about to be."""
        self._transactions.drop_base(base)
        self.out = [transmit for transmit in self.out if transmit.base != base]

    def deadline(self) -> float:
        """When `repeat` or `check_next` have something to do."""
        if self.remote is None:
            return self._transactions.deadline()
        return min(self._transactions.deadline(), max(self._pace_at, self._pairs.next_due()))

    def _send(self, pair: CandidatePair, now: float, nomination: int | None, *, lifetime: float | None) -> None:
        if self.remote is None:
            raise AssertionError("checks wait for the remote's credentials")
        priority = peer_reflexive_priority(pair.base_candidate)
        message = build_check(
            self._local, self.remote, role=self._role, priority=priority, nomination=nomination, doubt=self.doubt()
        )
        check = Check(pair, message.transaction_id, encode(message), self._role.controlling, now)
        self._transactions.add(check, lifetime=lifetime)
        self._transmit(check, now)

    def _transmit(self, check: Check, now: float) -> None:
        check.pair.checks_sent += 1
        check.pair.last_sent_at = now
        self.out.append(Transmit(check.pair.base, check.data, check.pair.remote.endpoint))
