"""Several ways to one end, started one after the other; the first that gets there wins (RFC 8305's idea)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from atmosphere.errors import AtmosphereError
from atmosphere.tasks import Tasks

__all__ = ["race"]

_T = TypeVar("_T")


async def race(starts: Sequence[Callable[[], Awaitable[_T]]], stagger: float) -> _T:
    """The result of the first to succeed; each is started `stagger` seconds after the one before, or when one failed.

    Whoever is late is cancelled and awaited, and must clean up after itself. When all raise AtmosphereError, the first
    one's is raised. `starts` must not be empty.
    """
    tasks = Tasks("race")
    running: set[asyncio.Task[_T | AtmosphereError]] = set()
    errors: list[AtmosphereError] = []
    waiting = list(starts)
    try:
        while waiting or running:
            if waiting and (task := tasks.spawn(_attempt(waiting.pop(0)), "attempt")) is not None:
                running.add(task)
            done, running = await asyncio.wait(
                running, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                result = one.result()
                if not isinstance(result, AtmosphereError):
                    return result
                errors.append(result)
        raise errors[0]
    finally:
        await tasks.close()


async def _attempt(start: Callable[[], Awaitable[_T]]) -> _T | AtmosphereError:
    try:
        return await start()
    except AtmosphereError as error:
        return error
