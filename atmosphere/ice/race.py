"""Several ways to one end, started one after the other; the first that gets there wins (RFC 8305's idea)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from atmosphere.errors import AtmosphereError
from atmosphere.tasks import Tasks

__all__ = ["race"]

_T = TypeVar("_T")


async def race(
    starts: Sequence[Callable[[], Awaitable[_T]]], stagger: float, discard: Callable[[_T], Awaitable[object]]
) -> _T:
    """The result of the first to succeed; each is started `stagger` seconds after the one before, or when one failed.

    Whoever is late is cancelled and awaited, and must clean up after itself. Who succeeded all the same has its result
    given to `discard`, and so has the first when the race is cancelled. When all raise AtmosphereError, the first one's
    is raised. `starts` must not be empty.
    """
    tasks = Tasks("race")
    made: list[_T] = []
    try:
        errors = await _run(starts, stagger, tasks, made)
        await tasks.close()
        if not made:
            raise errors[0]
        late, made[1:] = made[1:], []
        await _discard(late, discard)
        return made.pop()
    finally:
        try:
            await tasks.close()
        finally:
            await _discard(made, discard)


async def _run(
    starts: Sequence[Callable[[], Awaitable[_T]]], stagger: float, tasks: Tasks, made: list[_T]
) -> list[AtmosphereError]:
    """Start one after the other until something is in `made`, or all failed; their errors."""
    errors: list[AtmosphereError] = []
    running: set[asyncio.Task[None]] = set()
    waiting = list(starts)
    while not made and (waiting or running):
        if waiting and (task := tasks.spawn(_attempt(waiting.pop(0), made, errors), "attempt")) is not None:
            running.add(task)
        done, running = await asyncio.wait(
            running, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED
        )
        for one in done:
            one.result()
    return errors


async def _attempt(start: Callable[[], Awaitable[_T]], made: list[_T], errors: list[AtmosphereError]) -> None:
    """Leave the result where it cannot get lost: two may succeed in one turn of the loop, or as they are cancelled."""
    try:
        made.append(await start())
    except AtmosphereError as error:
        errors.append(error)


async def _discard(results: Sequence[_T], discard: Callable[[_T], Awaitable[object]]) -> None:
    """All at once, and to the end even when we are cancelled."""
    await asyncio.gather(*(asyncio.shield(discard(one)) for one in results))
