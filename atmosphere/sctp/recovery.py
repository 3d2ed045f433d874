"""What is lost, and when to ask: RACK, the tail loss probe (both of RFC 8985) and the last timer (RFC 9260 §6.3).

A chunk is lost when one that was sent later has arrived and a little time has passed, for packets overtake each other.
When nothing comes back for two round trips, one packet is sent again, and its SACK tells what is missing.
"""

from __future__ import annotations

from atmosphere.sctp.flight import RESENT, SENT, Acked, Flight

RTO_FIRST, RTO_LEAST, RTO_MOST = 1.0, 0.2, 3.0
"""Seconds; at most three, for whether the peer still lives is for ICE to say, and an outage's end is to be noticed."""
PROBE_LEAST = 0.01
PEER_DELAY = 0.025
"""Seconds for which a peer may keep the SACK of a single packet; others may keep it longer, then a probe is in vain."""
SMALL_FLIGHT = 2
REORDER_PART = 4
"""A fourth of the shortest round trip is given to packets that were overtaken."""
REORDER_MOST = 8
MEMORY = 10.0
"""Seconds for which the shortest round trip is believed."""


class Recovery:
    """Round-trip times, and the timers that follow from them. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self.variation = 0.0
        self.least = float("inf")
        self.latest = 0.0
        self.timeouts = 0
        self._least_at = 0.0
        self._base_rto = RTO_FIRST
        self._rack_sent = float("-inf")
        self._rack_round_trip = 0.0
        self._reorder_steps = 1
        self._reorder_at: float | None = None
        self._armed_at: float | None = None
        self.probed = False

    @property
    def rto(self) -> float:
        """Seconds until the last timer fires, with its back-off."""
        return min(self._base_rto * (1 << self.timeouts), RTO_MOST)

    def acknowledged(self, acked: Acked, now: float) -> None:
        """A SACK brought news."""
        if acked.latest is not None:
            self._measured(now - acked.latest, now)
            self._rack(acked.latest, now)
        if acked.again is not None and now - acked.again >= min(self.least, RTO_MOST):
            self._rack(acked.again, now)
        self.timeouts = 0
        self.probed = False

    def reordered(self) -> None:
        """Something was sent again in vain: give overtaken packets more time."""
        self._reorder_steps = min(self._reorder_steps + 1, REORDER_MOST)

    def detect(self, flight: Flight, now: float) -> int:
        """Take for lost what is; the bytes of it. Sets the timer for what may yet turn out to be only late."""
        self._reorder_at = None
        lost = 0
        if flight.high_acked == flight.base and not flight.resent:
            return 0
        patience = self._rack_round_trip + self._patience()
        # A chunk sent again may be above everything acknowledged, as a probe is; one sent once cannot be judged there.
        for tsn in [*flight.holes(SENT), *flight.resent]:
            resent = flight.state[tsn - flight.base] == RESENT
            sent = flight.resent[tsn] if resent else flight.batch(tsn).sent_at
            if sent > self._rack_sent or (sent == self._rack_sent and tsn >= flight.high_acked):
                continue
            if sent + patience <= now:
                lost += flight.lose(tsn)
            else:
                due = sent + patience
                self._reorder_at = due if self._reorder_at is None else min(self._reorder_at, due)
        return lost

    def arm(self, now: float) -> None:
        """Something is on its way from now on, or is acknowledged: count the time from here."""
        self._armed_at = now

    def disarm(self) -> None:
        """Nothing is on its way."""
        self._armed_at = self._reorder_at = None
        self.probed = False

    def deadline(self, flight: Flight) -> float | None:
        """When `due` will have something to say; None for never."""
        if self._armed_at is None:
            return self._reorder_at
        timer = self._armed_at + self._timer(flight)
        return timer if self._reorder_at is None or timer < self._reorder_at else self._reorder_at

    def due(self, flight: Flight, now: float) -> str:
        """ "timeout", "probe", "reorder" or nothing, whichever time it is."""
        if self._armed_at is not None and now >= self._armed_at + self._timer(flight):
            if self._may_probe(flight):
                self.probed = True
                self._armed_at = now
                return "probe"
            self.timeouts = min(self.timeouts + 1, 8)
            self._armed_at = now
            return "timeout"
        return "reorder" if self._reorder_at is not None and now >= self._reorder_at else ""

    def moved(self) -> None:
        """The path is another one: what was measured on the old one says nothing any more."""
        self.smoothed, self.least, self._base_rto = None, float("inf"), RTO_FIRST
        self.timeouts, self.probed = 0, False
        self._rack_sent, self._reorder_at = float("-inf"), None

    def _may_probe(self, flight: Flight) -> bool:
        return not self.probed and not self.timeouts and self.smoothed is not None and bool(flight.outstanding)

    def _timer(self, flight: Flight) -> float:
        smoothed = self.smoothed
        if smoothed is None or not self._may_probe(flight):
            return self.rto
        probe = 2 * smoothed if smoothed > PROBE_LEAST / 2 else PROBE_LEAST
        if len(flight.state) <= SMALL_FLIGHT:
            probe += PEER_DELAY
        return probe if probe < self._base_rto else self._base_rto

    def _patience(self) -> float:
        if self.least == float("inf"):
            return 0.0
        return min(self.least * self._reorder_steps / REORDER_PART, self.smoothed or self.least) + 0.001

    def _rack(self, sent: float, now: float) -> None:
        if sent >= self._rack_sent:
            self._rack_sent = sent
            self._rack_round_trip = now - sent

    def _measured(self, round_trip: float, now: float) -> None:
        self.latest = round_trip = max(round_trip, 1e-6)
        if round_trip <= self.least or now - self._least_at > MEMORY:
            self.least, self._least_at = round_trip, now
        if self.smoothed is None:
            self.smoothed, self.variation = round_trip, round_trip / 2
        else:
            self.variation += (abs(self.smoothed - round_trip) - self.variation) / 4
            self.smoothed += (round_trip - self.smoothed) / 8
        self._base_rto = min(max(self.smoothed + 4 * self.variation, RTO_LEAST), RTO_MOST)
