"""When the next packets may leave: spread over the round trip, so that a full window does not arrive as one burst.

A token bucket in bytes. A path that answers within a millisecond needs none of it: it has hardly any queue, and timers
of the loop are no finer.
"""

from __future__ import annotations

QUICK = 0.0015
"""A round trip of fewer seconds is not paced."""
TICK = 0.002
"""Seconds of sending that are let go at once, for timers are no finer than half of it."""
LEAST_PACKETS = 10
SLOW_START_GAIN, GAIN = 2.0, 1.25
"""How much faster than a window a round trip: in slow start the window doubles meanwhile."""


class Pacer:
    """Says how much may be sent now, and when there is more."""

    def __init__(self, mtu: int) -> None:
        self.mtu = mtu
        self._rate = 0.0
        self._tokens = 0.0
        self._at = 0.0

    def update(self, window: float, round_trip: float | None, now: float, *, slow_start: bool) -> None:
        """The window and the smoothed round trip (seconds) are these from now on."""
        self._refill(now)
        if round_trip is None or round_trip < QUICK:
            self._rate = 0.0
        else:
            was_free = not self._rate
            self._rate = window / round_trip * (SLOW_START_GAIN if slow_start else GAIN)
            self._tokens = self._burst() if was_free else self._tokens

    def allowance(self, now: float) -> float:
        """Bytes that may be sent now."""
        if not self._rate:
            return float("inf")
        self._refill(now)
        return self._tokens

    def spend(self, size: int) -> None:
        """So many bytes are sent."""
        if self._rate:
            self._tokens -= size

    def deadline(self) -> float | None:
        """When a burst may be sent; None while nothing holds it back."""
        if not self._rate:
            return None
        return self._at + max(0.0, self._burst() / 2 - self._tokens) / self._rate

    def _burst(self) -> float:
        return max(LEAST_PACKETS * self.mtu, self._rate * 2 * TICK)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._tokens + self._rate * (now - self._at), self._burst())
        self._at = now
