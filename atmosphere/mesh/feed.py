"""Events for whoever listens: each listener has a queue of its own, bounded, so a slow one loses events and hurts
nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from atmosphere.mesh.events import Event

logger = logging.getLogger(__name__)

MAX_WAITING = 1024


class Feed:
    """Where events go in and every listener takes its copy out."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self._closed = False

    def emit(self, event: Event) -> None:
        """Give `event` to every listener; one that is 1024 events behind misses the oldest."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
                logger.warning("an event was dropped for a listener that does not keep up")
            queue.put_nowait(event)

    async def listen(self) -> AsyncIterator[Event]:
        """Every event from now on, until the node stops."""
        if self._closed:
            return
        queue: asyncio.Queue[Event | None] = asyncio.Queue(MAX_WAITING)
        self._queues.add(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End every listener after what it still has to read."""
        self._closed = True
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)
