"""Tasks with an owner: what an object starts, it also ends, and a failure is never silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)

CANCEL_AGAIN = 5.0
"""Seconds after which a task that is to end, and did not, is cancelled once more."""


class Tasks:
    """The background tasks of one object; `close` cancels and awaits all of them."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any] | None:
        """Run `work` until it ends or the owner closes; after `close` nothing is started (None)."""
        if self._closed:
            work.close()
            return None
        task = asyncio.get_running_loop().create_task(work, name=f"{self._owner}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed: %r", task.get_name(), error, exc_info=error)

    async def close(self) -> None:
        """Cancel and await every task, except the one that is calling."""
        self._closed = True
        current = asyncio.current_task()
        waiting = {task for task in self._tasks if task is not current}
        while waiting:
            for task in waiting:
                task.cancel()
            # Library code may lose a cancellation (asyncio.wait_for of Python 3.11 does), so it is repeated.
            _, waiting = await asyncio.wait(waiting, timeout=CANCEL_AGAIN)
