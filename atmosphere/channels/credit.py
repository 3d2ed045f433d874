"""Credit: how much one side of a channel may send before the other has read it (as QUIC does, RFC 9000 section 4).

Limits are cumulative, so a grant that comes late or twice changes nothing. Each message costs its length and a little
more, so that a flood of empty ones is bounded too. One that is larger than the first window may be sent where such a
window is free, and overdraws: so it always fits, and by no more than `OVERDRAFT` is more kept than the window says.

A window that the path, not the reader, makes the sender wait for grows: 256 KB a round trip would be 2.6 MB/s over one
of 100 ms. The windows of a link grow by `SPARE` together, so that what a peer can make us keep stays small; and one
that is `WIDE` already leaves the others as much again as it takes.
"""

from __future__ import annotations

from atmosphere.sctp.interface import MAX_MESSAGE

WINDOW = 256 * 1024
"""Bytes that may be sent before the first grant; a reader that never kept up is owed no more than that."""
WINDOW_MOST = 16 * 1024 * 1024
WIDE = 4 * 1024 * 1024
SPARE = 32 * 1024 * 1024
OVERHEAD = 64
OVERDRAFT = MAX_MESSAGE + OVERHEAD - WINDOW
GRANT_AFTER = WINDOW // 4


def cost(size: int) -> int:
    """What a message of `size` bytes costs."""
    return size + OVERHEAD


class SendCredit:
    """What we may still send on one channel."""

    def __init__(self) -> None:
        self._limit = WINDOW
        self._used = 0

    def take(self, size: int) -> bool:
        """Whether a message of `size` bytes may be sent now; then it counts as sent."""
        if self._used + min(cost(size), WINDOW) > self._limit:
            return False
        self._used += cost(size)
        return True

    def grant(self, limit: int) -> bool:
        """The peer's new limit came in; whether it is more than before."""
        if limit <= self._limit:
            return False
        self._limit = limit
        return True


class WindowBudget:
    """By how much the windows of one link may still grow, all together."""

    def __init__(self, spare: int = SPARE) -> None:
        self.spare = spare

    def take(self, size: int) -> bool:
        """Whether there was that much; then it is taken."""
        if (2 * size if size >= WIDE else size) > self.spare:
            return False
        self.spare -= size
        return True


class ReceiveCredit:
    """What the peer may still send on one channel, and when to tell it that there is more."""

    def __init__(self, budget: WindowBudget | None = None) -> None:
        self._budget = budget or WindowBudget()
        self._received = 0
        self._consumed = 0
        self._granted = WINDOW
        self._grown_at = 0
        self._waiting = False
        self.window = WINDOW
        """The most that may be on its way and unread now."""

    def arrive(self, size: int) -> bool:
        """A message came in; False when the peer sent more than it may."""
        self._received += cost(size)
        return self._received <= self._granted + OVERDRAFT

    def consume(self, size: int) -> int | None:
        """The application took a message; the new limit if it is time to tell the peer."""
        self._consumed += cost(size)
        return self._news()

    def blocked(self) -> int | None:
        """The peer says it waits; the new limit if there is one. A reader that keeps up gets a larger window."""
        self._waiting = True
        if self._is_too_small() and self._budget.take(self.window):
            self.window *= 2
            self._grown_at = self._received
        return self._news()

    def release(self) -> None:
        """The channel is over: others may have what its window grew by."""
        self._budget.spare += self.window - WINDOW
        self.window = WINDOW

    def _is_too_small(self) -> bool:
        """Whether it is the path that makes the sender wait: nearly all is read, and a good part came since we grew."""
        unread, came = self._received - self._consumed, self._received - self._grown_at
        return self.window < WINDOW_MOST and unread <= self.window // 4 and came >= self.window // 2

    def _news(self) -> int | None:
        news = self._consumed + self.window - self._granted
        read_all = self._consumed == self._received
        if news <= 0 or (news < self.window // 4 and not (self._waiting and read_all)):
            return None
        self._granted += news
        if read_all:
            self._waiting = False
        return self._granted
