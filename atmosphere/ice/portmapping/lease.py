"""One mapping's life: wanted, standing, renewed, lost. Pure.

            asked and granted            renewed at half its time, then half of what is left (RFC 6887 §11.2.1)
wanted  ───────────────────────▶  standing  ──▶ …
   ▲  └─ refused: again later,      │  │
   │     ever more rarely           │  └─ refused: stands until its time is over, and is asked for all the while
   └────────────────────────────────┘
     its time is over, or the router forgot it
"""

from __future__ import annotations

from atmosphere.ice.portmapping.model import Grant, NoMapping

FIRST_RETRY, LAST_RETRY = 30.0, 1800.0
"""Seconds until a refused port is asked for again, at first and at last."""
SOONEST = 4.0
"""A mapping is renewed no sooner, however short the router's lifetimes are."""
LATEST = 43200.0
"""Nor later: a router may say that a mapping stands for years, and be replaced tomorrow."""
PERMANENT = 1800.0
"""Mappings that stand for ever are asked for again at this interval, since nobody says when they are gone."""


class Lease:
    """What stands (`grant`), when to ask next (`due`), and what went wrong last (`error`)."""

    def __init__(self, now: float) -> None:
        self.grant: Grant | None = None
        self.error: str | None = None
        self.due = now
        self._until: float | None = None
        self._failures = 0

    def left(self, now: float) -> float | None:
        """Seconds that it still stands; None where it stands for ever, or not at all."""
        return None if self._until is None or self.grant is None else max(0.0, self._until - now)

    def granted(self, grant: Grant, now: float) -> None:
        """The router opened the port, or keeps it open."""
        self.grant, self.error, self._failures = grant, None, 0
        if grant.lifetime is None:
            self._until, self.due = None, now + PERMANENT
        else:
            self._until = now + grant.lifetime
            self.due = now + min(LATEST, max(SOONEST, grant.lifetime / 2))

    def failed(self, error: NoMapping, now: float) -> None:
        """The router said no, or nothing: what stands does so until its time is over."""
        self.error = str(error)
        self.expire(now)
        left = self.left(now)
        if left is not None and left > 0:
            self.due = now + max(SOONEST, left / 2)
            return
        self.due = now + max(min(error.hold, LAST_RETRY), min(FIRST_RETRY * 2**self._failures, LAST_RETRY))
        self._failures = min(self._failures + 1, 16)

    def forgotten(self, now: float) -> None:
        """The router lost its state: ask at once. The old grant is kept as what to ask for, and until the answer."""
        self.due = now

    def expire(self, now: float) -> bool:
        """Drop a grant whose time is over; whether there was one."""
        if self._until is None or now < self._until:
            return False
        self.grant, self._until = None, None
        return True
