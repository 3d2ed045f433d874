"""Checks on their way: retransmission, giving up, and late answers (RFC 8445 §14.3, RFC 8489 §6.2.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from atmosphere.ice.pair import CandidatePair

__all__ = ["Check", "Transactions"]

FIRST_TIMEOUT = 0.25
LONGEST_TIMEOUT = 1.0
LONGEST_TIMEOUT_HEARD = 0.3
REMEMBERED = 30.0
MAX_REMEMBERED = 1024


@dataclass(slots=True, eq=False)
class Check:
    """One request and its repetitions. `gives_up_at` is infinite for a check that is sent just once (consent)."""

    pair: CandidatePair
    transaction_id: bytes
    data: bytes
    controlling: bool
    sent_at: float
    gives_up_at: float = math.inf
    resend_at: float = math.inf
    timeout: float = FIRST_TIMEOUT
    sends: int = 1


class Transactions:
    """The checks that may still be answered.

    One that gave up or was cancelled is not repeated, but stays known for 30 s: a late answer is as good as another.
    """

    def __init__(self) -> None:
        self._checks: dict[bytes, Check] = {}

    def __contains__(self, transaction_id: object) -> bool:
        return transaction_id in self._checks

    def __len__(self) -> int:
        return len(self._checks)

    def add(self, check: Check, *, lifetime: float | None) -> None:
        """Remember a check that is being sent; with a `lifetime` in seconds it is repeated until then."""
        if lifetime is not None:
            check.gives_up_at = check.sent_at + lifetime
            check.resend_at = check.sent_at + check.timeout
        self._checks[check.transaction_id] = check
        if len(self._checks) > MAX_REMEMBERED:
            del self._checks[next(iter(self._checks))]

    def find(self, transaction_id: bytes) -> Check | None:
        """The check with that id."""
        return self._checks.get(transaction_id)

    def remove(self, check: Check) -> None:
        """Forget a check that has been answered."""
        self._checks.pop(check.transaction_id, None)

    def stop(self, pair: CandidatePair, *, sent_by: float = math.inf) -> bool:
        """Repeat nothing over `pair` that was first sent by then; late answers still count. True if a round goes on."""
        goes_on = False
        for check in self._checks.values():
            if check.pair is pair and check.sent_at <= sent_by:
                check.resend_at = check.gives_up_at = math.inf
            goes_on = goes_on or (check.pair is pair and check.gives_up_at < math.inf)
        return goes_on

    def drop_base(self, base: int) -> None:
        """Forget everything sent from `base`."""
        self._checks = {key: check for key, check in self._checks.items() if check.pair.base != base}

    def due(self, now: float) -> Iterator[Check]:
        """Each check that is to be sent once more now."""
        for check in self._checks.values():
            if check.resend_at <= now:
                check.sends += 1
                # A pair that the remote's checks came over works, at least that way: something was just lost.
                longest = LONGEST_TIMEOUT_HEARD if check.pair.authenticated else LONGEST_TIMEOUT
                check.timeout = min(2 * check.timeout, longest)
                after = now + check.timeout
                check.resend_at = after if after < check.gives_up_at else math.inf
                yield check

    def given_up(self, now: float) -> list[Check]:
        """The checks whose time is over just now. Those that nobody will answer any more are forgotten."""
        for key in [key for key, check in self._checks.items() if check.sent_at + REMEMBERED <= now]:
            if self._checks[key].gives_up_at > now:
                del self._checks[key]
        over = [check for check in self._checks.values() if check.gives_up_at <= now]
        for check in over:
            check.resend_at = check.gives_up_at = math.inf
        return over

    def deadline(self) -> float:
        """When `due` or `given_up` next have something; infinite when nothing waits."""
        return min((min(check.resend_at, check.gives_up_at) for check in self._checks.values()), default=math.inf)
