"""Is the selected path alive? Liveness within 3 s and consent within 30 are two timers (RFC 7675).

Both count the time since the last valid answer, not the checks that got none, so a path with a long round trip or much
loss is not taken for a dead one. Data that arrives shows life, though not for long (it may be the other direction that
died), and is no consent to go on sending.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Consent", "Health"]

INTERVAL = 1.0
LOSSY_INTERVAL = 0.5
HASTE = 0.25
LOSSY = 0.05
LOSSY_HASTE = 0.12
HASTY_FOR = 9.0
SUSPECT_AFTER = 2.5
LOST_AFTER = 3.0
DATA_STRETCHES = 5.0
EXPIRES_AFTER = 30.0
ORDINARY_RTT = 0.5
MOST_ALLOWANCE = 2.0
STALL_GRACE = 0.6
WINDOW = 20
_GOLDEN = 0.6180339887498949


class Health(IntEnum):
    """How long the path has been quiet: not at all, long enough to try others, lost, and out of consent."""

    ALIVE = 0
    SUSPECT = 1
    LOST = 2
    EXPIRED = 3


@dataclass(slots=True)
class _Probe:
    sent_at: float
    answered: bool = False


class Consent:
    """The two timers and the measurements of one path. Times are monotonic seconds.

    `seed` spreads the checks of many links: intervals vary by ±20 % (RFC 7675 §5.1), evenly, from a start of its own.
    """

    def __init__(self, now: float, rtt: float | None = None, seed: int = 0) -> None:
        self.answered_at = now
        self.rtt = rtt
        self.jitter = 0.0 if rtt is None else rtt / 4
        self._heard_at = now
        self._excused_at = now
        self._sent_at = now
        self._phase = (seed % 997) / 997
        self._probes: deque[_Probe] = deque(maxlen=WINDOW)
        self._gap = self._next_gap()

    def heard(self, now: float) -> None:
        """Data came over the path."""
        self._heard_at = now

    def stalled(self, now: float) -> None:
        """The caller itself slept: give answers that may be waiting in a socket a moment before judging."""
        self._excused_at = now - SUSPECT_AFTER + STALL_GRACE

    def sent(self, now: float) -> None:
        """A check went over the path."""
        self._probes.append(_Probe(now))
        self._sent_at = now
        self._gap = self._next_gap()

    def answered(self, sent_at: float, rtt: float | None, now: float) -> None:
        """A valid answer came to a check sent at `sent_at`, however late; `rtt` where it is known for certain."""
        self.answered_at = now
        for probe in self._probes:
            if probe.sent_at == sent_at:
                probe.answered = True
        if rtt is None:
            return
        if self.rtt is None:
            self.rtt, self.jitter = rtt, rtt / 2
            return
        self.jitter += (abs(rtt - self.rtt) - self.jitter) / 4
        self.rtt += (rtt - self.rtt) / 8

    @property
    def loss(self) -> float:
        """The share of recent checks without an answer, 0 to 1.

        Only those sent before the last answered one count, so that an answer still on its way is not a loss, and a path
        that dies does not look lossy.
        """
        answers = [index for index, probe in enumerate(self._probes) if probe.answered]
        return 1 - len(answers) / (answers[-1] + 1) if answers else 0.0

    @property
    def allowance(self) -> float:
        """Seconds added to both liveness limits on a path with a long round trip."""
        return min(max(0.0, self._answer_time() - ORDINARY_RTT), MOST_ALLOWANCE)

    def quiet(self, now: float) -> float:
        """Seconds since the remote last showed life."""
        return now - self._shown_at()

    def health(self, now: float) -> Health:
        """What the two timers say."""
        if now >= self.answered_at + EXPIRES_AFTER:
            return Health.EXPIRED
        shown = self._shown_at()
        if now >= shown + LOST_AFTER + self.allowance:
            return Health.LOST
        return Health.SUSPECT if now >= shown + SUSPECT_AFTER + self.allowance else Health.ALIVE

    def next_check_at(self) -> float:
        """When the path wants its next check: about every second; every quarter, for a while, once one is missing."""
        regular = self._sent_at + self._gap
        missing = self._missing_since()
        if missing is None:
            return regular
        pause = INTERVAL
        if self._sent_at < self.answered_at + HASTY_FOR:
            pause = HASTE if self.loss < LOSSY else LOSSY_HASTE
        return max(min(regular, missing), self._sent_at + pause)

    def deadline(self, now: float) -> float:
        """When `health` changes next, if nothing comes."""
        shown, allowance, next_at = self._shown_at(), self.allowance, float("inf")
        # The sums are those of `health`, term by term: rounded otherwise, a deadline would come too early to count.
        limits = (shown + SUSPECT_AFTER + allowance, shown + LOST_AFTER + allowance, self.answered_at + EXPIRES_AFTER)
        for limit in limits:
            if now < limit < next_at:
                next_at = limit
        return next_at

    def _shown_at(self) -> float:
        heard = min(self._heard_at, self.answered_at + DATA_STRETCHES)
        return max(self.answered_at, heard, self._excused_at)

    def _missing_since(self) -> float | None:
        """When the oldest check after the last answered one was overdue."""
        missing = None
        for probe in reversed(self._probes):
            if probe.answered:
                break
            missing = probe.sent_at + max(HASTE, self._answer_time())
        return missing

    def _answer_time(self) -> float:
        return 0.0 if self.rtt is None else self.rtt + 4 * self.jitter

    def _next_gap(self) -> float:
        self._phase = (self._phase + _GOLDEN) % 1
        interval = LOSSY_INTERVAL if self.loss >= LOSSY else INTERVAL
        return interval * (0.8 + 0.4 * self._phase)
