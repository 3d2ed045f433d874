"""How long an agent goes on without any path. Pure: `now` is given, in monotonic seconds."""

from __future__ import annotations

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.reasons import hopeless_after

__all__ = ["PATIENCE", "Patience"]

PATIENCE = 30.0
"""Seconds without any path until `IceFailed`; each new candidate renews it, up to twice. See also `hopeless_after`."""


class Patience:
    """When the agent with these pairs gives up, as long as it has no path."""

    __slots__ = ("_ends_at", "_ends_at_last", "_news_at", "_pairs")

    def __init__(self, pairs: CheckList, now: float) -> None:
        self._pairs = pairs
        self._ends_at = now + PATIENCE
        self._ends_at_last = now + 2 * PATIENCE
        self._news_at = now

    def renew(self, now: float) -> None:
        """There is something new to try."""
        self._news_at = now
        self._ends_at = min(max(self._ends_at, now + PATIENCE), self._ends_at_last)

    def ends_at(self) -> float:
        """The moment to give up."""
        return min(self._ends_at, self._news_at + hopeless_after(self._pairs))
