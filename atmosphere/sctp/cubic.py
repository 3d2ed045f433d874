"""CUBIC (RFC 9438) with HyStart++ (RFC 9406): what most of the Internet does, so that we share fairly with it.

Times are seconds, sizes bytes; the window of the formulas is counted in packets of `mtu`.
"""

from __future__ import annotations

from atmosphere.sctp.delivery import Delivery
from atmosphere.sctp.pacing import QUICK

C, BETA = 0.4, 0.7
ALPHA = 3 * (1 - BETA) / (1 + BETA)
"""Growth of the Reno-friendly window, packets a round trip."""
INITIAL = 10
"""Packets that a new path gets (RFC 6928)."""
LEAST = 2
MOST = 16 * 1024 * 1024
"""Bytes beyond which no window grows; no peer offers more."""

# HyStart++
ETA_LEAST, ETA_MOST = 0.004, 0.016
SLOWER = 4
"""In its careful phase slow start grows by a quarter."""
CAREFUL_ROUNDS = 5
ENOUGH = 1.5
"""Slow start ends where there is a queue, and the window is that much more than what the path carries."""


class Cubic:
    """A `Congestion` controller."""

    def __init__(self, mtu: int) -> None:
        self.mtu = mtu
        self.window: float = INITIAL * mtu
        self._threshold = float("inf")
        self._peak = 0.0
        self._epoch: float | None = None
        self._origin = 0.0
        self._k = 0.0
        self._friendly = 0.0
        self._careful = 0
        self._before: float | None = None
        self._baseline = 0.0
        self._delivery = Delivery()

    @property
    def is_slow_start(self) -> bool:
        """Whether the window still grows to find out what the path carries."""
        return self.window < self._threshold

    def acknowledged(self, size: int, now: float, round_trip: float, *, full: bool) -> None:
        """So much has arrived; the window grows if it was what held us back."""
        if self.is_slow_start:
            self._delivery.arrived(size, now)
        if not full:
            self._epoch = None  # time that was not used must not count as growth (RFC 9438 section 5.8)
        elif self.is_slow_start:
            self.window = min(self.window + (size / SLOWER if self._careful else size), MOST)
        else:
            self._grow(size, now, round_trip)

    def sampled(self, latest: float, least: float) -> None:
        """Leave slow start when more is on its way than the path delivers: answers wait, and come no faster.

        HyStart++ sees that a round later, for the first answers of a paced round find the queue empty. A path that is
        not paced (see `pacing`) has hardly a queue; there a slow answer says that a program was busy.
        """
        self._delivery.least = least
        eta = min(max(least / 8, ETA_LEAST), ETA_MOST)
        if self.is_slow_start and least >= QUICK and latest >= least + eta:
            carried = self._delivery.carried
            if carried and self.window > ENOUGH * max(carried, INITIAL * self.mtu):
                self._threshold = self.window

    def round_ended(self, shortest: float, least: float) -> None:
        """Leave slow start when answers take longer than in the round before, and that lasts."""
        if not self.is_slow_start:
            return
        if self._careful:
            self._careful -= 1
            if shortest < self._baseline:
                self._careful = 0  # it was a hiccup
            elif not self._careful:
                self._threshold = self.window
        elif self._before is not None and self.window > INITIAL * self.mtu:
            eta = min(max(self._before / 8, ETA_LEAST), ETA_MOST)
            if shortest >= self._before + eta:
                self._careful, self._baseline = CAREFUL_ROUNDS, shortest
        self._before = shortest

    def lost(self, now: float) -> None:
        """Multiplicative decrease, with fast convergence.

        Slow start may have left a window of twice what the path carries and queues: the loss is told a round trip late.
        A decrease from there would lose as much again, so it is one from what would have filled the path just so.
        """
        if self.is_slow_start and (carried := self._delivery.carried):
            self.window = min(self.window, max(carried, LEAST * self.mtu) / BETA)
        packets = self.window / self.mtu
        self._peak = packets * (1 + BETA) / 2 if packets < self._peak else packets
        self.window = self._threshold = max(self.window * BETA, LEAST * self.mtu)
        self._epoch, self._careful = None, 0

    def timed_out(self) -> None:
        """Begin again with one packet, and grow fast up to a part of what was before the silence (RFC 5681 §3.1)."""
        if self.window > self.mtu:
            self._peak = self.window / self.mtu
            self._threshold = max(self.window * BETA, LEAST * self.mtu)
        self.window = float(self.mtu)
        self._epoch, self._careful = None, 0

    def moved(self) -> None:
        """Begin again as on a new path; what the old one carried is where slow start ends, if it was long enough."""
        self._threshold = max(self._threshold if self.window >= self._threshold else self.window, INITIAL * self.mtu)
        self.window = float(INITIAL * self.mtu)
        self._epoch, self._careful, self._before = None, 0, None
        self._delivery.forget()

    def _grow(self, size: int, now: float, round_trip: float) -> None:
        packets = self.window / self.mtu
        if self._epoch is None:
            self._epoch = now
            self._friendly = packets
            self._origin = max(self._peak, packets)
            self._k = ((self._origin - packets) / C) ** (1 / 3)
        target = self._origin + C * (now + round_trip - self._epoch - self._k) ** 3
        target = min(max(target, packets), packets * 1.5)
        self._friendly += ALPHA * size / self.window
        growth = (target - packets) / packets * size / self.mtu
        self.window = min(max(packets + growth, self._friendly) * self.mtu, MOST)
