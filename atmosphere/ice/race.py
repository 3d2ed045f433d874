"""Several ways to one end, started one after the other; the first that gets there wins (RFC 8305's idea)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

__all__ = ["race"]

_T = TypeVar("_T")


async def race(starts: Sequence[Callable[[], Awaitable[_T]]], stagger: float) -> _T:
    """The result of the first to succeed; each is started `stagger` seconds after the one before, or when that failed.

    Whoever is late is cancelled and awaited, and must clean up after itself. If all fail, the first one's error is
    raised. `starts` must not be empty.
    """
    running: list[asyncio.Future[_T]] = []
    errors: list[BaseException] = []
    waiting = list(starts)
    try:
        while waiting or len(errors) < len(running):
            if waiting:
                running.append(asyncio.ensure_future(waiting.pop(0)()))
            open_ones = [one for one in running if not one.done()]
            await asyncio.wait(open_ones, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            finished = [one for one in running if one.done()]
            for one in finished:
                if _error(one) is None:
                    return one.result()
            errors = [error for one in finished if (error := _error(one)) is not None]
        raise errors[0]
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _error(finished: asyncio.Future[_T]) -> BaseException | None:
    return asyncio.CancelledError() if finished.cancelled() else finished.exception()
