"""A wait between two attempts that news may end."""

from __future__ import annotations

import asyncio
import contextlib


class Pause:
    """`await sleep(seconds)`; `end()` lets who sleeps go on at once, and means nothing to those to come."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until `end`."""
        self._ended.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    def end(self) -> None:
        """Wait no longer."""
        self._ended.set()
