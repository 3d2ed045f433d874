"""Is the selected path alive? Liveness within 3 s and consent within 30 are two timers (RFC 7675).

Both count the time since the last valid answer, not the checks that got none, so a path with a long round trip or much
loss is not taken for a dead one. Data that arrives shows life, though not for long (it may be the other direction that
died), and is no consent to go on sending.

A path is *watched* while it has traffic or expects some (`expect`), and while a check is unanswered: a check goes every
second, and silence is counted from when the watch began. Otherwise it *rests*: a check now and then keeps consent and
the NATs' mappings, silence means nothing, and a path that died is noticed by the next check or by the next data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["REST", "Consent", "Health"]

INTERVAL = 1.0
LOSSY_INTERVAL = 0.5
HASTE = 0.25
LOSSY = 0.05
LOSSY_HASTE = 0.12
HASTY_FOR = 9.0
SUSPECT_AFTER = 2.5
SUSPECT_EARLY = 1.5
"""The same where nothing at all came since the watch began, for then checks go every quarter of a second."""
LOST_AFTER = 3.0
UNEXPECTED_PATIENCE = 3.0
"""Added to `LOST_AFTER` where nobody waits for data: a lossy path with a long round trip needs more than one try."""
DATA_STRETCHES = 5.0
EXPIRES_AFTER = 30.0
ORDINARY_RTT = 0.5
MOST_ALLOWANCE = 2.0
STALL_GRACE = 0.6
LINGER = 5.0
"""A path with traffic is watched for so long after the last of it."""
REST = 15.0
"""Between two checks on a resting path at most, on the side that asks: NATs forget after 30 s at the soonest."""
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
    Of the two sides of a resting path the one that `leads` asks every 12 to 15 s (`rest` seconds at most), which keeps
    the mappings of both; the other asks for the sake of its own consent alone, as rarely as that allows.
    """

    __slots__ = (
        *("answered_at", "jitter", "leads", "rest", "rtt"),
        *("_awake_until", "_checked_at", "_excused_at", "_heard_at", "_phase"),
        *("_probes", "_sent_at", "_settled_at", "_since"),
    )

    def __init__(
        self, now: float, rtt: float | None = None, seed: int = 0, *, leads: bool = True, rest: float = REST
    ) -> None:
        self.answered_at = now
        self.rtt = rtt
        self.jitter = 0.0 if rtt is None else rtt / 4
        self.leads = leads
        self.rest = rest
        self._heard_at = self._checked_at = self._excused_at = self._sent_at = self._settled_at = now
        self._since = now
        self._awake_until = now + LINGER
        self._phase = (seed % 997) / 997
        self._probes: list[_Probe] = []
        self._next_phase()

    # What it is told

    def expect(self, now: float) -> None:
        """Data was sent, or is expected: the path is watched for a while."""
        if not self.is_watched(now):
            self._since = now
        self._awake_until = now + LINGER

    def heard(self, now: float) -> None:
        """Data came over the path."""
        self._heard_at = now

    def checked(self, now: float) -> None:
        """An authentic check of the remote's came over the path, and was answered: the mappings are fresh.

        On a watched path it shows no life: there our own checks are answered too, or one direction is dead.
        """
        self._checked_at = now

    def stalled(self, now: float) -> None:
        """The caller itself slept: give answers that may be waiting in a socket a moment before judging."""
        self._excused_at = now - SUSPECT_AFTER + STALL_GRACE

    def sent(self, now: float) -> None:
        """A check went over the path."""
        if not self.is_watched(now):
            self._since = now
        self._probes.append(_Probe(now))
        del self._probes[:-WINDOW]
        self._sent_at = now
        self._next_phase()

    def answered(self, sent_at: float, rtt: float | None, now: float) -> None:
        """A valid answer came to a check sent at `sent_at`, however late; `rtt` where it is known for certain."""
        self.answered_at = now
        if now >= self._awake_until:
            self._settled_at = now  # one answer is enough, whatever becomes of the other checks on their way
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

    # What it says

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

    def is_watched(self, now: float) -> bool:
        """Whether silence counts: there is traffic, or a check that is not answered."""
        return now < self._awake_until or self._is_asking

    def quiet(self, now: float) -> float:
        """Seconds since the remote last showed life, or since that began to matter."""
        return now - self._shown_at()

    def health(self, now: float) -> Health:
        """What the two timers say."""
        if now >= self.answered_at + EXPIRES_AFTER:
            return Health.EXPIRED
        if not self.is_watched(now):
            return Health.ALIVE
        shown = self._shown_at()
        if now >= shown + self._lost_after() + self.allowance:
            return Health.LOST
        return Health.SUSPECT if now >= shown + self._suspect_after() + self.allowance else Health.ALIVE

    def next_check_at(self) -> float:
        """When the path wants its next check: about every second while it is watched, rarely while it rests.

        Every quarter of a second, for a while, once an answer is missing.
        """
        regular = self._sent_at + self._interval()
        if not self._is_asking and regular > self._awake_until:
            return self._rests_until()
        missing = self._missing_since()
        if missing is None:
            return regular
        pause = INTERVAL
        if self._sent_at < max(self.answered_at, self._since) + HASTY_FOR:
            pause = HASTE if self.loss < LOSSY else LOSSY_HASTE
        return max(min(regular, missing), self._sent_at + pause)

    def deadline(self, now: float) -> float:
        """When `health` changes next, if nothing comes."""
        limits = [self.answered_at + EXPIRES_AFTER]
        if self.is_watched(now):
            shown, allowance = self._shown_at(), self.allowance
            # The sums are those of `health`, term by term: rounded otherwise, a deadline would come too early to count.
            limits += [shown + self._suspect_after() + allowance, shown + self._lost_after() + allowance]
        return min((limit for limit in limits if now < limit), default=float("inf"))

    @property
    def _is_asking(self) -> bool:
        """Whether the last check is not answered, nor one before it that would do."""
        last = self._probes[-1] if self._probes else None
        return last is not None and not last.answered and last.sent_at > self._settled_at

    def _shown_at(self) -> float:
        begun = max(self.answered_at, self._since)
        return max(begun, min(self._heard_at, begun + DATA_STRETCHES), self._excused_at)

    def _suspect_after(self) -> float:
        return SUSPECT_EARLY if self._since > self.answered_at and not self.allowance else SUSPECT_AFTER

    def _lost_after(self) -> float:
        return LOST_AFTER if self._awake_until > self._since else LOST_AFTER + UNEXPECTED_PATIENCE

    def _missing_since(self) -> float | None:
        """When the oldest check after the last answered one was overdue."""
        missing = None
        for probe in reversed(self._probes):
            if probe.answered or probe.sent_at <= self._settled_at:
                break
            missing = probe.sent_at + max(HASTE, self._answer_time())
        return missing

    def _answer_time(self) -> float:
        return 0.0 if self.rtt is None else self.rtt + 4 * self.jitter

    def _next_phase(self) -> None:
        self._phase = (self._phase + _GOLDEN) % 1

    def _interval(self) -> float:
        interval = LOSSY_INTERVAL if self.loss >= LOSSY else INTERVAL
        return interval * (0.8 + 0.4 * self._phase)

    def _rests_until(self) -> float:
        if self.leads:
            return self._sent_at + self.rest * (0.8 + 0.2 * self._phase)
        # The remote's checks do for the mappings, where they come.
        unasked = max(self._sent_at, self._checked_at) + self.rest * (1.0 + 0.1 * self._phase)
        return min(unasked, self._sent_at + self.rest * (1.2 + 0.2 * self._phase))
