"""Does data get through? A path that answers ICE's checks and loses data is dead, and only the peer's own packets tell.

Pure: told of every packet that asks for an answer and of every one that came out of DTLS, it says when to ask once
more, and when the silence has been too long. A path that nobody uses is not judged: checks do for that.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["DataFlow", "Verdict"]

SUSPECT_AFTER, PROBE_EVERY = 1.0, 0.25
"""Seconds of silence after which more questions go out, and how often: on a lossy path a few answers get lost."""
SILENT_AFTER = 2.5
"""Seconds without any answer, after some eight questions."""
ORDINARY_TIME, MOST_ALLOWANCE = 0.5, 4.0
"""What an answer may take without being late, and how much later (seconds) it may be on a slow or crowded path."""
STALL, STALL_GRACE = 0.5, 0.6
"""A caller that is later than this slept itself; then answers may wait in a socket, and get so long to be read."""

Verdict = Literal["wait", "suspect", "probe", "silent"]


class DataFlow:
    """What was sent over the present path and not answered. Times are monotonic seconds."""

    __slots__ = ("_excused", "_last", "_since", "_suspected")

    def __init__(self) -> None:
        self._since: float | None = None
        self._last = 0.0
        self._excused = 0.0
        self._suspected = False

    def sent(self, now: float) -> None:
        """A packet went out while the peer owed us an acknowledgement."""
        if self._since is None:
            self._since = now
            self._excused = 0.0
            self._suspected = False
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

        "suspect" is the first "probe" of a silence.
        """
        deadline = self.deadline(answer_time)
        if self._since is None or deadline is None or now < deadline:
            return "wait"
        if now > deadline + STALL and not self._excused:
            self._excused = now + STALL_GRACE
            return "probe"
        if now < self._limit(self._since, answer_time):
            first, self._suspected = not self._suspected, True
            return "suspect" if first else "probe"
        self._since = None
        return "silent"

    def _limit(self, since: float, answer_time: float | None) -> float:
        late = max(0.0, (answer_time or 0.0) - ORDINARY_TIME)
        return max(since + SILENT_AFTER + min(late, MOST_ALLOWANCE), self._excused)
