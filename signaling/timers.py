"""The timers of one connection: one of each kind, all gone with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Calls to come; the other side may ask for ever so many, they cost no more than one of each kind."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, kind: str) -> bool:
        return kind in self._timers

    def once(self, kind: str, delay: float, call: Callable[[], None]) -> None:
        """Call it after `delay` seconds, unless a call of this kind is to come already."""

        def run() -> None:
            del self._timers[kind]
            call()

        if kind not in self._timers:
            self._timers[kind] = asyncio.get_running_loop().call_later(delay, run)

    def cancel(self) -> None:
        """Nothing is to come."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
