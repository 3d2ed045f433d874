"""Datagrams that come too early: the last few wait for a path, or for somebody to read them."""

from __future__ import annotations

__all__ = ["Early"]


class Early:
    """The last `most` datagrams."""

    __slots__ = ("_most", "_waiting")

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[bytes] = []  # an empty deque would cost each link 760 bytes

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def keep(self, datagram: bytes) -> bool:
        """Keep it; whether the oldest had to go for it."""
        self._waiting.append(datagram)
        if len(self._waiting) <= self._most:
            return False
        del self._waiting[0]
        return True

    def take(self) -> list[bytes]:
        """What waits, in order; taken once."""
        waiting, self._waiting = self._waiting, []
        return waiting
