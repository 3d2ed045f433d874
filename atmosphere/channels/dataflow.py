"""Does data get through? A path that answers ICE's checks and loses data is dead, and only the peer's own packets tell.

Pure: told of every packet that asks for an answer and of every one that came out of DTLS, it says when to ask once
more, and when the silence has been too long. A path that nobody uses is not judged: checks do for that.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["DataFlow", "Verdict"]

SUSPECT_AFTER, PROBE_EVERY = 1.0, 0.25
"""Seconds of silence after which more questions go out, and how often: on a lossy path a few answers get lost."""
ALARM_AFTER = 1.2
"""Seconds of silence after which it is time to make another path, so that it stands when this one is given up."""
SILENT_AFTER = 2.5
"""Seconds without any answer, after some eight questions."""
ORDINARY_TIME, MOST_ALLOWANCE = 0.5, 4.0
"""What an answer may take without being late, and how much later (seconds) it may be on a slow or crowded path."""
STALL, STALL_GRACE = 0.5, 0.6
"""A caller that is later than this slept itself; then answers may wait in a socket, and get so long to be read."""

Verdict = Literal["wait", "suspect", "alarm", "probe", "silent"]


class DataFlow:
    """What was sent over the present path and not answered. Times are monotonic seconds."""

    __slots__ = ("_excused", "_last", "_since", "_told")

    def __init__(self) -> None:
        self._since: float | None = None
        self._last = 0.0
        self._excused = 0.0
        self._told = 0

    def sent(self, now: float) -> None:
        """A packet went out while the peer owed us an acknowledgement."""
        if self._since is None:
            self._since = now
            self._excused = 0.0
            self._told = 0
        self._last = now

    def heard(self) -> None:
        """A packet came that only the peer can have sent, or nothing is owed any more, or the path is another one."""
        self._since = None

    def deadline(self, answer_time: float | None) -> float | None:
        """When to ask for a `verdict`; None while there is nothing to judge.

        `answer_time` is what an answer takes now, the most that is usual, in seconds; None where it is not known.
        """
        if self._since is None:
            return None
        probe = max(self._since + max(SUSPECT_AFTER, answer_time or 0.0), self._last + PROBE_EVERY)
        return min(probe, self._limit(self._since, answer_time))

    def verdict(self, now: float, answer_time: float | None) -> Verdict:
        """Whether to wait, to send something that asks for an answer, or to leave the path; then it begins anew.

        "suspect" and "alarm" are probes too, the first one of a silence and the first when it is most of the way.
        """
        deadline = self.deadline(answer_time)
        if self._since is None or deadline is None or now < deadline:
            return "wait"
        if now > deadline + STALL and not self._excused:
            self._excused = now + STALL_GRACE
            return "probe"
        if now < self._limit(self._since, answer_time):
            return self._probe(now - self._since - late(answer_time))
        self._since = None
        return "silent"

    def _probe(self, quiet: float) -> Verdict:
        if self._told == 0:
            self._told = 1
            return "suspect"
        if self._told == 1 and quiet >= ALARM_AFTER:
            self._told = 2
            return "alarm"
        return "probe"

    def _limit(self, since: float, answer_time: float | None) -> float:
        return max(since + SILENT_AFTER + late(answer_time), self._excused)


def late(answer_time: float | None) -> float:
    """How much later than usual an answer may be on a path where it takes so long, in seconds."""
    return min(max(0.0, (answer_time or 0.0) - ORDINARY_TIME), MOST_ALLOWANCE)
