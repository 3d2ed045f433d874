"""What a path carries without a queue: the fastest that data was seen to arrive of late, times the shortest round trip.

Measured in quarters of that round trip and over the last two of them. In slow start a window is sent in half a round
trip, so the average of a whole one says half of what the path does.
"""

from __future__ import annotations

QUARTERS = 4
KEPT = 2 * QUARTERS


class Delivery:
    """Told what arrives; sizes are bytes, times monotonic seconds."""

    __slots__ = ("_arrived", "_now", "_rates", "_since", "least")

    def __init__(self) -> None:
        self.least = 0.0
        """The shortest round trip; 0 while none is known, and then nothing is said."""
        self._rates: list[float] = []
        self._arrived = 0
        self._since = self._now = float("-inf")

    def arrived(self, size: int, now: float) -> None:
        """So much was acknowledged."""
        if now > self._since + self.least / QUARTERS:
            self._rates = [*self._rates[1 - KEPT :], self._rate]
            self._arrived, self._since = 0, max(self._now, now - self.least)
        self._arrived += size
        self._now = now

    @property
    def carried(self) -> float:
        """Bytes; 0 for unknown."""
        return max(self._rate, *self._rates, 0.0) * self.least

    def forget(self) -> None:
        """The path is another one."""
        self._rates.clear()
        self._arrived, self._since = 0, self._now

    @property
    def _rate(self) -> float:
        return self._arrived / (self._now - self._since) if self._now > self._since else 0.0
