"""How many sessions others may start: those not connected yet are few, and new ones have a rate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from atmosphere.ice.settings import (
    HALF_OPEN,
    HALF_OPEN_OF_ONE,
    HALF_OPEN_SECONDS,
    NEW_BURST,
    NEW_BURST_OF_SOURCE,
    NEW_PER_SECOND,
    NEW_PER_SECOND_OF_SOURCE,
)
from atmosphere.stun.limits import SourceLimiter

if TYPE_CHECKING:
    from atmosphere.ice.session import IceSession

__all__ = ["Newcomers"]


class Newcomers:
    """The sessions that others started and that have no path yet; one that does not get any in time fails."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[IceSession, asyncio.TimerHandle] = {}
        self._everybody = SourceLimiter(rate=NEW_PER_SECOND, burst=NEW_BURST, size=1)
        self._each = SourceLimiter(rate=NEW_PER_SECOND_OF_SOURCE, burst=NEW_BURST_OF_SOURCE)

    def __len__(self) -> int:
        return len(self._waiting)

    def is_crowded(self, ufrag: str) -> bool:
        """Whether too many wait already, in all or on one of our ufrags.

        Asked before a new one costs anything of the rate that all share.
        """
        own = sum(session.local_ufrag == ufrag for session in self._waiting)
        return len(self._waiting) >= HALF_OPEN or own >= HALF_OPEN_OF_ONE

    def admits(self, host: str) -> bool:
        """Whether one more from that address is within the rate."""
        now = self._loop.time()
        return self._each.allow(host, now) and self._everybody.allow("", now)

    def add(self, session: IceSession) -> None:
        """It has to be connected in time."""
        reason = f"not connected within {HALF_OPEN_SECONDS:g} s"
        self._waiting[session] = self._loop.call_later(HALF_OPEN_SECONDS, session.fail, reason)

    def remove(self, session: IceSession) -> None:
        """It is connected, or over; one that is unknown changes nothing."""
        timer = self._waiting.pop(session, None)
        if timer is not None:
            timer.cancel()
