"""What the peer opens: counted, and kept for a handler that is not there yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from atmosphere.channels.channel import Channel
from atmosphere.channels.stream import Stream

MAX_OPEN = 256
"""Channels and streams that the peer may have open at once."""

Item = TypeVar("Item")


class Backlog(Generic[Item]):
    """Things offered to a handler, in their order, also when it comes later. Bounded by `Inbound.admit`."""

    def __init__(self) -> None:
        self.handler: Callable[[Item], None] | None = None
        self._waiting: list[Item] = []

    def set_handler(self, handler: Callable[[Item], None] | None) -> None:
        """From now on `handler` gets them, first those that wait."""
        self.handler = handler
        while handler is not None and self._waiting:
            handler(self._waiting.pop(0))

    def offer(self, item: Item) -> None:
        """Give one to the handler, or keep it."""
        if self.handler is None:
            self._waiting.append(item)
        else:
            self.handler(item)


class Inbound:
    """The channels and streams that the peer opened."""

    def __init__(self) -> None:
        self.channels: Backlog[Channel] = Backlog()
        self.streams: Backlog[Stream] = Backlog()
        self._open: set[int] = set()

    def admit(self, handle: int) -> bool:
        """Count one more; False if there are too many."""
        if len(self._open) >= MAX_OPEN:
            return False
        self._open.add(handle)
        return True

    def release(self, handle: int) -> None:
        """One is closed."""
        self._open.discard(handle)
