"""What waits for all slow readers together, and how much of it each of them may have (pure).

While it is less than half of the bound nobody is held to a share. Beyond, whoever has less than their part of the other
half may have more: so it stays below the bound, and who reads is not stopped by those who do not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

EVERY = 0.05
"""Seconds between two counts: with thousands of readers one for each message would be too many."""
PART = 8
"""It is counted sooner when this part of the bound has been written since: new readers may have fallen behind."""


class Backlog:
    """The unsent bytes of many readers, at most `in_all` of them (and one message more for each reader)."""

    def __init__(self, in_all: int) -> None:
        self._in_all = in_all
        self._readers: dict[Hashable, Callable[[], int]] = {}
        self._counted_at = float("-inf")
        self._total = self._behind = self._grown = 0

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, reader: Hashable, waiting: Callable[[], int]) -> None:
        """A reader has come; `waiting()` is how many bytes wait for it."""
        self._readers[reader] = waiting

    def remove(self, reader: Hashable) -> None:
        """It is gone. Twice is fine."""
        self._readers.pop(reader, None)

    def total(self) -> int:
        """Bytes that wait now."""
        return sum(waiting() for waiting in self._readers.values())

    def grew(self, size: int) -> None:
        """So many bytes more wait for one of them."""
        self._total += max(0, size)
        self._grown += max(0, size)

    def share(self, now: float) -> int:
        """Bytes that may wait for a reader before there is no room for another message."""
        if now >= self._counted_at + EVERY or PART * self._grown >= self._in_all:
            sizes = [waiting() for waiting in self._readers.values()]
            self._counted_at, self._grown = now, 0
            self._total, self._behind = sum(sizes), sum(size > 0 for size in sizes)
        if 2 * self._total < self._in_all:
            return self._in_all
        return max(1, self._in_all // (2 * max(self._behind, 1)))
