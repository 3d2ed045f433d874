"""asyncio's Event and Queue for those who have thousands: what nobody waits for costs nothing.

asyncio's own make a deque (760 bytes) for waiters, of whom there mostly are none; a Queue makes three, and an Event.
Here is only what is used.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

__all__ = ["Event", "Queue"]

Item = TypeVar("Item")


class Event:
    """Set or not; `wait` until it is."""

    __slots__ = ("_set", "_waiters")

    def __init__(self) -> None:
        self._set = False
        self._waiters: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Whether it is."""
        return self._set

    def set(self) -> None:
        """Wake everybody who waits; whoever comes later does not wait."""
        self._set = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """From now on one waits again; those who were woken stay so."""
        self._set = False

    async def wait(self) -> None:
        """Return at once, or when it is set."""
        if self._set:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)


class Queue(Generic[Item]):
    """A bounded queue with one reader."""

    __slots__ = ("_done", "_items", "_most", "_ready", "_unfinished")

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: list[Item] = []
        self._unfinished = 0
        self._ready = Event()
        self._done = Event()

    def qsize(self) -> int:
        """How many wait to be taken."""
        return len(self._items)

    def full(self) -> bool:
        """Whether no more is taken."""
        return len(self._items) >= self._most

    def put_nowait(self, item: Item) -> None:
        """Append one; raises asyncio.QueueFull when there are too many."""
        if self.full():
            raise asyncio.QueueFull
        self._items.append(item)
        self._unfinished += 1
        self._ready.set()

    def get_nowait(self) -> Item:
        """The oldest; raises asyncio.QueueEmpty when there is none."""
        if not self._items:
            raise asyncio.QueueEmpty
        return self._items.pop(0)

    async def get(self) -> Item:
        """The oldest, as soon as there is one."""
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        return self._items.pop(0)

    def task_done(self) -> None:
        """What was taken has been dealt with."""
        self._unfinished -= 1
        if not self._unfinished:
            self._done.set()

    async def join(self) -> None:
        """Wait until everything that was put has been taken and dealt with."""
        while self._unfinished:
            self._done.clear()
            await self._done.wait()
