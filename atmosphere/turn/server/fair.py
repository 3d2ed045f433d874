"""What waits for a socket that many users share: a queue each, served in turns, bounded. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from atmosphere.turn.server.flow import Address

Key = TypeVar("Key")
Waiting = tuple[bytes, int, Address]
"""A burst, the size of its datagrams, and where to."""


class FairQueues(Generic[Key]):
    """Bursts by user; `each` and `in_all` bound the bytes, and a burst that does not fit is refused."""

    def __init__(self, each: int, in_all: int) -> None:
        self._each = each
        self._in_all = in_all
        self._queues: OrderedDict[Key, deque[Waiting]] = OrderedDict()
        self._sizes: dict[Key, int] = {}
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def put(self, key: Key, waiting: Waiting) -> bool:
        """Queue a burst; False where there is no room."""
        size = len(waiting[0])
        if self._sizes.get(key, 0) + size > self._each or self.size + size > self._in_all:
            return False
        self._queues.setdefault(key, deque()).append(waiting)
        self._add(key, size)
        return True

    def take(self) -> tuple[Key, Waiting] | None:
        """The oldest burst of the user whose turn it is, who then goes to the end of the line."""
        key = next(iter(self._queues), None)
        if key is None:
            return None
        queue = self._queues.pop(key)
        waiting = queue.popleft()
        self._add(key, -len(waiting[0]))
        if queue:
            self._queues[key] = queue
        else:
            del self._sizes[key]
        return key, waiting

    def put_back(self, key: Key, waiting: Waiting) -> None:
        """What was taken and could not be sent: first in its user's queue again, and that user is next."""
        self._queues.setdefault(key, deque()).appendleft(waiting)
        self._queues.move_to_end(key, last=False)
        self._add(key, len(waiting[0]))

    def _add(self, key: Key, size: int) -> None:
        self._sizes[key] = self._sizes.get(key, 0) + size
        self.size += size
