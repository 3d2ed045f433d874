"""Credit: how much one side of a channel may send before the other has read it (as QUIC does, RFC 9000 section 4).

Limits are cumulative, so a grant that comes late or twice changes nothing. Each message costs its length and a little
more, so that a flood of empty ones is bounded too; the largest message costs the whole window, so it always fits.
"""

from __future__ import annotations

WINDOW = 256 * 1024
"""Bytes that may be sent before the first grant, and the most a reader that stopped is ever owed."""
OVERHEAD = 64
GRANT_AFTER = WINDOW // 4


def cost(size: int) -> int:
    """What a message of `size` bytes costs."""
    return min(size + OVERHEAD, WINDOW)


class SendCredit:
    """What we may still send on one channel."""

    def __init__(self) -> None:
        self._limit = WINDOW
        self._used = 0

    def allows(self, size: int) -> bool:
        """Whether a message of `size` bytes may be sent now."""
        return self._used + cost(size) <= self._limit

    def take(self, size: int) -> None:
        """A message of `size` bytes is sent."""
        self._used += cost(size)

    def grant(self, limit: int) -> bool:
        """The peer's new limit came in; whether it is more than before."""
        if limit <= self._limit:
            return False
        self._limit = limit
        return True


class ReceiveCredit:
    """What the peer may still send on one channel, and when to tell it that there is more."""

    def __init__(self) -> None:
        self._received = 0
        self._consumed = 0
        self._granted = WINDOW
        self._waiting = False

    def arrive(self, size: int) -> bool:
        """A message came in; False when the peer sent more than it may."""
        self._received += cost(size)
        return self._received <= self._granted

    def consume(self, size: int) -> int | None:
        """The application took a message; the new limit if it is time to tell the peer."""
        self._consumed += cost(size)
        return self._news()

    def blocked(self) -> int | None:
        """The peer says it waits; the new limit if there is one."""
        self._waiting = True
        return self._news()

    def _news(self) -> int | None:
        news = self._consumed + WINDOW - self._granted
        read_all = self._consumed == self._received
        if news <= 0 or (news < GRANT_AFTER and not (self._waiting and read_all)):
            return None
        self._granted += news
        if read_all:
            self._waiting = False
        return self._granted
