"""When to acknowledge: at once after a loss, else one SACK for all that a wake of the loop brought (RFC 9260 §6.2).

A single packet waits a little, for the answer to it may carry the acknowledgement.
"""

from __future__ import annotations

DELAY = 0.02
"""Seconds that a single packet waits to be acknowledged; RFC 9260 allows 0.2."""
EVERY = 2
"""Packets after which a SACK is due."""
QUICK = 0.005
"""Seconds after a SACK in which the next need not ride on whatever is sent: more will come to acknowledge with it."""


class Acknowledgement:
    """Told what came in; `is_due` and `deadline` say when to send a SACK."""

    def __init__(self) -> None:
        self.unreported = 0
        """Packets with data since the last SACK."""
        self._urgent = True  # the first packet, so that the peer has a round-trip time early
        self._deadline: float | None = None
        self._sent_at = float("-inf")

    def arrived(self, packets: int, now: float) -> None:
        """Packets came in order."""
        self.unreported += packets
        if self._deadline is None:
            self._deadline = now + DELAY

    def hurry(self) -> None:
        """Something is missing, was missing, came twice, or the peer asks: tell it now."""
        self._urgent = True
        self.unreported = max(self.unreported, 1)

    def is_due(self, now: float) -> bool:
        """Whether a SACK is to be sent now."""
        if not self.unreported:
            return False
        return self._urgent or self.unreported >= EVERY or (self._deadline is not None and now >= self._deadline)

    def may_ride(self, now: float) -> bool:
        """Whether a SACK is to go with what is sent now."""
        return self.is_due(now) or (self.unreported > 0 and now >= self._sent_at + QUICK)

    def deadline(self) -> float | None:
        """When a SACK will be due that is not now; None for never."""
        return self._deadline if self.unreported else None

    def sent(self, now: float) -> None:
        """A SACK has been sent."""
        self._sent_at = now
        self.unreported = 0
        self._urgent = False
        self._deadline = None
