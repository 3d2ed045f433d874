"""Does data get through? A path that answers ICE's checks and loses data is dead, and only the peer's own packets tell.

Pure: told of every packet that asks for an answer and of every one that came out of DTLS, it says when the silence
has been too long. A path that nobody uses is not judged: checks do for that.
"""

from __future__ import annotations

__all__ = ["DataFlow"]

SILENT_AFTER = 2.5
"""Seconds without an answer: SCTP has sent its packet three times by then."""
ORDINARY_TIME, MOST_ALLOWANCE = 0.5, 4.0
"""What an answer may take without being late, and how much later (seconds) it may be on a slow or crowded path."""
LEAST_SENDS = 2
"""Fewer than that may have got lost by chance."""
STALL, STALL_GRACE = 0.5, 0.6
"""A caller that is later than this slept itself; then answers may wait in a socket, and get so long to be read."""


class DataFlow:
    """What was sent over the present path and not answered. Times are monotonic seconds."""

    __slots__ = ("_excused", "_sends", "_since")

    def __init__(self) -> None:
        self._since: float | None = None
        self._sends = 0
        self._excused = 0.0

    def sent(self, now: float) -> None:
        """A packet went out while the peer owed us an acknowledgement."""
        if self._since is None:
            self._since = now
            self._sends = 0
            self._excused = 0.0
        self._sends += 1

    def heard(self) -> None:
        """A packet came that only the peer can have sent, or nothing is owed any more, or the path is another one."""
        self._since = None

    def deadline(self, answer_time: float | None) -> float | None:
        """When to ask `is_silent`; None while there is nothing to judge.

        `answer_time` is what an answer takes now, the most that is usual, in seconds; None where it is not known.
        """
        if self._since is None or self._sends < LEAST_SENDS:
            return None
        late = max(0.0, (answer_time or 0.0) - ORDINARY_TIME)
        return max(self._since + SILENT_AFTER + min(late, MOST_ALLOWANCE), self._excused)

    def is_silent(self, now: float, answer_time: float | None) -> bool:
        """Whether the path is dead for data; then it begins anew."""
        deadline = self.deadline(answer_time)
        if deadline is None or now < deadline:
            return False
        if now > deadline + STALL and not self._excused:
            self._excused = now + STALL_GRACE
            return False
        self._since = None
        return True
