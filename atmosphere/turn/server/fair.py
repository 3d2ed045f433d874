"""What waits for a socket that many users share: a queue each, served in turns, bounded. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from atmosphere.turn.server.flow import Address, Payload

Key = TypeVar("Key")
Waiting = tuple[list[bytes], Address]


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

    def put(self, key: Key, parts: Sequence[Payload], destination: Address) -> bool:
        """Queue a copy of a burst; False where there is no room."""
        size = sum(map(len, parts))
        if self._sizes.get(key, 0) + size > self._each or self.size + size > self._in_all:
            return False
        self._queues.setdefault(key, deque()).append(([bytes(part) for part in parts], destination))
        self._sizes[key] = self._sizes.get(key, 0) + size
        self.size += size
        return True

    def take(self) -> tuple[Key, list[bytes], Address] | None:
        """The oldest burst of the user whose turn it is, who then goes to the end of the line."""
        key = next(iter(self._queues), None)
        if key is None:
            return None
        queue = self._queues.pop(key)
        parts, destination = queue.popleft()
        self._account(key, parts)
        if queue:
            self._queues[key] = queue
        else:
            del self._sizes[key]
        return key, parts, destination

    def put_back(self, key: Key, parts: list[bytes], destination: Address) -> None:
        """What was taken and could not be sent: first in its user's queue again, and that user is next."""
        self._queues.setdefault(key, deque()).appendleft((parts, destination))
        self._queues.move_to_end(key, last=False)
        size = sum(map(len, parts))
        self._sizes[key] = self._sizes.get(key, 0) + size
        self.size += size

    def _account(self, key: Key, parts: Sequence[bytes]) -> None:
        size = sum(map(len, parts))
        self._sizes[key] -= size
        self.size -= size
