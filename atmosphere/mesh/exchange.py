"""The signaling of one attempt, either side: our candidates out as they are found, the other side's in.

Nothing here is needed when the host can be reached directly; it opens NATs from both sides and brings the relays
into play.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.session import IceSession
from atmosphere.mesh import signals
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)

DEBOUNCE = 0.03
"""Seconds to gather news into one signal: servers answer within milliseconds of each other."""

REPEAT = (0.7, 1.5, 3.0, 5.0, 8.0)
"""Seconds between repetitions while nothing comes back: a server may lose a message or not be connected yet. The last
goes on, and is how long an exchange may outlive its session."""

MAX_SENDING = 4
"""Signals on their way at once: one waits until a server is connected, and what it says may be old by then."""

Send = Callable[[signals.Message], Coroutine[Any, Any, None]]


class Exchange:
    """One attempt's candidates, told and heard, until its session leaves the checking state."""

    def __init__(
        self, session: IceSession, name: str, local: Callable[[], list[Candidate]], send: Send, *, dialing: bool
    ) -> None:
        self.session = session
        self.name = name
        self.local = local
        self._send = send
        self._kind = signals.Dial if dialing else signals.Candidates
        self._told: list[str] | None = None
        self._heard: set[str] = set()
        self.answered = False
        self._news = asyncio.Event()
        self._sending = Tasks("exchange")
        self._room = asyncio.Semaphore(MAX_SENDING)

    def hear(self, lines: list[str]) -> None:
        """Take in the other side's candidates; what was heard before costs nothing."""
        self.answered = True
        fresh = [line for line in lines if line not in self._heard]
        if len(self._heard) + len(fresh) > 4 * signals.MAX_CANDIDATES:
            return
        self._heard.update(fresh)
        for candidate in signals.parse_candidates(fresh):
            self.session.add_remote(candidate)

    def news(self, *, again: bool = False) -> None:
        """Our candidates may have changed; `again`: the other side should hear them even if not, there is a new way."""
        if again:
            self._told = None
        self._news.set()

    async def run(self) -> None:
        """Tell our candidates at once, whenever they change, and again while nobody answers."""
        try:
            for wait in itertools.chain(REPEAT, itertools.repeat(REPEAT[-1])):
                await self._tell()
                while await self._news_within(wait):
                    await asyncio.sleep(DEBOUNCE)
                    await self._tell()
                if self.session.state != "checking":
                    return
                if not self.answered:
                    self._told = None
        finally:
            await self._sending.close()

    async def _news_within(self, wait: float) -> bool:
        try:
            async with asyncio.timeout(wait):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return self.session.state == "checking"

    async def _tell(self) -> None:
        if signals.candidate_lines(self.local()) == self._told:
            return
        await self._room.acquire()
        self._told = signals.candidate_lines(self.local())
        if self._sending.spawn(self._pass_on(self._kind(self.name, self._told)), "signal") is None:
            self._room.release()

    async def _pass_on(self, message: signals.Message) -> None:
        try:
            await self._send(message)
        finally:
            self._room.release()
