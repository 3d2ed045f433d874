"""Whose turn it is: messages of many channels taken in turn, so that a channel with much to say starves nobody.

Deficit round robin (Shreedhar and Varghese, 1995): every channel that has something to send gets `QUANTUM` bytes a
turn; a message larger than what a channel has saved waits for as many turns as it needs while the others go on.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

QUANTUM = 16 * 1024

Item = TypeVar("Item")


class _Lane(Generic[Item]):
    """What one channel has to send."""

    __slots__ = ("bytes", "items", "saved")

    def __init__(self) -> None:
        self.items: deque[tuple[Item, int]] = deque()
        self.bytes = 0
        self.saved = 0


class FairQueue(Generic[Item]):
    """Messages queued by channel; `pop` gives them back in fair turns, each channel's own in their order."""

    def __init__(self) -> None:
        self._lanes: dict[int, _Lane[Item]] = {}
        self._turns: deque[int] = deque()
        self.bytes = 0
        """Bytes queued over all channels."""

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def buffered(self, key: int) -> int:
        """Bytes that one channel has queued."""
        lane = self._lanes.get(key)
        return lane.bytes if lane else 0

    def waits(self, key: int) -> bool:
        """Whether a channel has anything queued."""
        return key in self._lanes

    def push(self, key: int, item: Item, size: int) -> None:
        """Queue a message of `size` bytes on a channel."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
            self._turns.append(key)
        lane.items.append((item, size))
        lane.bytes += size
        self.bytes += size

    def pop(self) -> tuple[int, Item]:
        """The next message and its channel; IndexError when nothing is queued."""
        while True:
            key = self._turns[0]
            lane = self._lanes[key]
            item, size = lane.items[0]
            if lane.saved < size and len(self._turns) > 1:
                lane.saved += QUANTUM
                if lane.saved < size:
                    self._turns.rotate(-1)
                    continue
            return key, self._take(key, lane, item, size)

    def _take(self, key: int, lane: _Lane[Item], item: Item, size: int) -> Item:
        lane.items.popleft()
        lane.bytes -= size
        self.bytes -= size
        lane.saved = max(0, lane.saved - size)
        if not lane.items:
            del self._lanes[key]
            self._turns.popleft()
        elif lane.saved < lane.items[0][1]:
            self._turns.rotate(-1)
        return item

    def discard(self, key: int) -> None:
        """Forget everything that a channel has queued."""
        lane = self._lanes.pop(key, None)
        if lane is not None:
            self.bytes -= lane.bytes
            self._turns.remove(key)
