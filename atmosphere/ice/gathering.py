"""Runs the pure gatherer on the loop: its questions are sent, what it learned is told, and it is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from atmosphere.ice.events import Transmit
from atmosphere.ice.gather import Gatherer, Mapped, Silent

__all__ = ["Gathering"]


class Gathering:
    """The loop's side of a gatherer. Whoever tells the gatherer something calls `run` after it."""

    def __init__(
        self, gatherer: Gatherer, send: Callable[[Transmit], None], learned: Callable[[Mapped | Silent], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._gatherer = gatherer
        self._send = send
        self._learned = learned
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def run(self) -> None:
        """Let the gatherer send, hear what it learned, arm its timer."""
        self._gatherer.handle_timer(self._loop.time())
        for transmit in self._gatherer.transmits():
            self._send(transmit)
        for event in self._gatherer.events():
            self._learned(event)
        self._arm()

    def close(self) -> None:
        """Wake it no more. Twice is fine."""
        self._closed = True
        self._disarm()

    def _arm(self) -> None:
        self._disarm()
        deadline = self._gatherer.deadline()
        if deadline is not None and not self._closed:
            self._timer = self._loop.call_at(deadline, self.run)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
