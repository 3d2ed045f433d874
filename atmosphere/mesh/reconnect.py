"""Keeps one member connected for ever: dials when there is no link, or one without a path, waits longer each time it
fails, and is woken by news."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from atmosphere.errors import AtmosphereError
from atmosphere.light import Event
from atmosphere.mesh.linktable import Rank
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink

logger = logging.getLogger(__name__)

FIRST_WAIT = 1.0
"""Seconds that the larger id lets the smaller one dial first, so that two links at once are the exception."""

GRANT_WAIT = 10.0
"""Seconds that a joiner's own link may take from the grant to the end of its greeting."""

BACKOFF = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)

KEPT_BACKOFF = 1.0
"""Seconds between attempts at most while a link is kept that has no path: streams wait on it, and only for minutes."""


class Reconnector:
    """The endless care for one member.

    `rank` is that of the links it dials (linktable.py): an attempt gives way to a link of a better one. `patience`
    is how long (seconds) it waits for a link that comes by itself before it dials; with `at_once` the very first time
    it does not, for a node that just started is where nobody knows of yet.
    """

    def __init__(
        self,
        peer: Peer,
        attempt: Callable[[Peer], Awaitable[None]],
        *,
        rank: Rank,
        rank_of: Callable[[PeerLink], Rank],
        patience: float,
        at_once: bool = False,
    ) -> None:
        self._peer = peer
        self._attempt = attempt
        self._rank = rank
        self._rank_of = rank_of
        self._patience = patience
        self._at_once = at_once
        self._changed = Event()
        self._news = False
        self._relief: asyncio.Timeout | None = None
        self._renewed: PeerLink | None = None
        self.last_error: str | None = None
        self.next_at: float | None = None
        """When it dials next, by the loop's clock; None while it does, or need not."""

    def wake(self) -> None:
        """There is news (an address, a server, a neighbour): a wait between attempts ends now."""
        self._news = True
        self._changed.set()

    def link_changed(self) -> None:
        """The link came, went, lost its path or found it again."""
        self._changed.set()
        link = self._peer.link
        if self._relief is None or link is None or link is self._renewed:
            return
        if link.alive and self._rank_of(link) < self._rank:
            relief, self._relief = self._relief, None
            relief.reschedule(0)

    async def run(self) -> None:
        """Dial whenever it is needed, until cancelled."""
        failures = 0
        while True:
            await self._until_needed()
            if failures == 0 and await self._link_within(self._first_wait()):
                continue
            self._at_once = False
            if await self._try_once():
                failures = 0
                continue
            await self._pause(self._back_off(failures))
            failures = 1 if self._news else failures + 1
            self._news = False

    def _needed(self) -> bool:
        link = self._peer.link
        return link is None or link.lost or link.alarmed

    def _first_wait(self) -> float:
        """A link that is there and lacks a path gets another at once: two attempts for it are no harm."""
        return 0.0 if self._at_once or self._peer.link is not None else self._patience

    def _back_off(self, failures: int) -> float:
        wait = BACKOFF[min(failures, len(BACKOFF) - 1)]
        return wait if self._peer.link is None else min(wait, KEPT_BACKOFF)

    async def _until_needed(self) -> None:
        while not self._needed():
            self._changed.clear()
            await self._changed.wait()

    async def _link_within(self, seconds: float) -> bool:
        """Whether a living link came by itself within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._needed():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _try_once(self) -> bool:
        """Whether there is a link now, by our attempt or by theirs."""
        self._peer.trying = True
        try:
            # A link of a worse rank does not end it: both ends will keep ours in its place.
            await self._attempt_unless_relieved()
        except (AtmosphereError, TimeoutError) as error:
            self.last_error = str(error) or "no answer in time"
            logger.info("%s cannot be reached yet: %s", self._peer.name, self.last_error)
            return not self._needed()
        finally:
            self._peer.trying = False
        self.last_error = None
        return True

    async def _attempt_unless_relieved(self) -> None:
        """One attempt; ends early, without an error, when a link of a better rank comes.

        Not for the link that it is to give another path: where that comes to life by itself, both are used.
        """
        self._renewed = link = self._peer.link
        if link is not None:
            link.alarmed = False  # this is what it asks for
        try:
            async with asyncio.timeout(None) as self._relief:
                await self._attempt(self._peer)
        except TimeoutError:
            if self._relief is not None:
                raise
        finally:
            self._relief = None

    async def _pause(self, delay: float) -> None:
        """Wait between attempts, shorter when there is news."""
        self._changed.clear()
        jittered = delay * random.uniform(0.7, 1.3)  # noqa: S311 (jitter, no secret)
        self.next_at = asyncio.get_running_loop().time() + jittered
        try:
            async with asyncio.timeout(jittered):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self.next_at = None
