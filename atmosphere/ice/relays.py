"""Relayed addresses: one allocation on each TURN server, shared by all sessions, made again when it is lost.

Where a URI leaves the transport open, UDP starts and TCP follows `STAGGER` later, each on both families; the first to
succeed stays. WebSocket is a URI of its own, so its allocation stands beside those: ICE has it at hand when UDP stops.
A lost or refused allocation is tried again after a jittered pause that doubles up to `PAUSE_LAST`.

Credentials may be replaced at any time: an allocation lives on with those it was made with, and moves to the new ones
before the old expire (REST credentials say when), the new allocation standing before the old one goes.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from functools import partial

from atmosphere.errors import AtmosphereError, Refused
from atmosphere.ice.race import race
from atmosphere.ice.turn_ways import ways_to
from atmosphere.tasks import Tasks
from atmosphere.turn.client import OPEN_TIMEOUT, Allocation, TurnEndpoint
from atmosphere.turn.uri import TurnServer

__all__ = ["Relay", "Relays"]

logger = logging.getLogger(__name__)

STAGGER = 0.3
PAUSE_FIRST, PAUSE_LAST = 2.0, 120.0
PAUSE_REFUSED = 30.0
RENEW_BEFORE = 90.0
"""Seconds before credentials expire that the allocation moves to newer ones."""
OVERLAP = 5.0
"""Seconds that the old allocation stays after the new one stands, for what is still under way."""
MAX_SERVERS = 16
OPEN_TIMEOUT_LAYERED = 10.0
"""Seconds where the handshakes of a proxy or a WebSocket come before TURN's."""

Opened = Callable[[Allocation], None]
Closed = Callable[[Allocation], None]


class Relay:
    """Keeps an allocation on one server. `opened` and `closed` tell the endpoint, `failed` says why there is none."""

    def __init__(
        self, server: TurnServer, opened: Opened, closed: Closed, failed: Callable[[TurnServer, str], None]
    ) -> None:
        self.server = server
        self._opened, self._closed, self._failed = opened, closed, failed
        self._wake = asyncio.Event()
        self._pause = PAUSE_FIRST
        self._current: Allocation | None = None
        self._moved = False
        self._tasks = Tasks(f"relay {server}")
        self._tasks.spawn(self._keep(), "keep")

    def update(self, server: TurnServer) -> None:
        """Newer credentials: used for the next allocation, which is at once if there is none."""
        if server != self.server:
            self.server = server
            self.hurry()

    def hurry(self) -> None:
        """Something changed: a pause between attempts ends, an allocation is asked whether it is still there.

        One that was made from an address that we no longer use is given time to be, while another is made.
        """
        self._pause = PAUSE_FIRST
        self._moved = self._current is not None and self._current.is_stranded
        self._wake.set()
        if self._current is not None:
            self._current.verify()

    async def close(self) -> None:
        """Give the allocation back."""
        await self._tasks.close()

    async def _keep(self) -> None:
        try:
            while True:
                made_with, self._moved = self.server, False
                following = await self._allocate(made_with)
                if following is None:
                    await self._rest()
                else:
                    self._retire(self._current)
                    self._current = following
                    await self._until_needed(following, made_with)
                if self._current is not None and not self._current.is_open:
                    self._retire(self._current)
                    self._current = None
        finally:
            if self._current is not None:
                self._closed(self._current)
                await asyncio.shield(self._current.close())

    async def _allocate(self, server: TurnServer) -> Allocation | None:
        """A new allocation, announced; None after saying why there is none."""
        try:
            allocation = await self._open_first(server)
        except AtmosphereError as error:
            logger.info("TURN server %s: %s", server, error)
            self._failed(server, str(error))
            if isinstance(error, Refused):
                self._pause = max(self._pause, PAUSE_REFUSED)
            return None
        self._pause = PAUSE_FIRST
        self._opened(allocation)
        return allocation

    async def _open_first(self, server: TurnServer) -> Allocation:
        ends = await ways_to(server)
        return await race([partial(_open, end) for end in ends], STAGGER, Allocation.close)

    async def _rest(self) -> None:
        """Wait before the next attempt; a refusal with the old allocation still up is no hurry."""
        self._wake.clear()
        pause = self._pause * random.uniform(0.7, 1.3)  # noqa: S311 - only spreads load
        self._pause = min(2 * self._pause, PAUSE_LAST)
        await self._sleep(pause if self._current is None else max(pause, PAUSE_REFUSED))

    async def _until_needed(self, allocation: Allocation, made_with: TurnServer) -> None:
        """Wait until the allocation is lost, or its credentials end and newer ones are there, or they became another
        user's: a joiner that is a member now is to have what it has as one."""
        allocation.on_lost = lambda reason: self._lost(allocation, reason)
        while allocation.is_open and not self._moved:
            self._wake.clear()
            expires_at = made_with.expires_at
            if expires_at is None:
                if self.server.username != made_with.username:
                    return
                await self._sleep(None)
                continue
            left = expires_at - RENEW_BEFORE - time.time()
            if left <= 0 and self.server != made_with:
                return
            await self._sleep(left if left > 0 else None)

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _lost(self, allocation: Allocation, reason: str) -> None:
        self._closed(allocation)
        if allocation is self._current:
            self._failed(self.server, reason)
        self._wake.set()

    def _retire(self, allocation: Allocation | None) -> None:
        if allocation is not None:
            self._tasks.spawn(self._close_later(allocation), "retire")

    async def _close_later(self, allocation: Allocation) -> None:
        try:
            if allocation.is_open:
                await asyncio.sleep(OVERLAP)
        finally:
            self._closed(allocation)  # also where the server is left meanwhile
            await asyncio.shield(allocation.close())


async def _open(end: TurnEndpoint) -> Allocation:
    allocation = Allocation(end)
    await allocation.open(OPEN_TIMEOUT_LAYERED if end.url or end.proxy else OPEN_TIMEOUT)
    return allocation


class Relays:
    """The relays of an endpoint, by URI."""

    def __init__(
        self, opened: Callable[[str, Allocation], None], closed: Closed, failed: Callable[[str, str], None]
    ) -> None:
        self._opened, self._closed, self._failed = opened, closed, failed
        self._relays: dict[str, Relay] = {}
        self._tasks = Tasks("relays")

    def set_servers(self, servers: tuple[TurnServer, ...]) -> None:
        """Use these from now on; those that stay keep their allocation."""
        wanted = {str(server): server for server in servers[:MAX_SERVERS]}
        for uri in [uri for uri in self._relays if uri not in wanted]:
            self._tasks.spawn(self._relays.pop(uri).close(), f"close {uri}")
        for uri, server in wanted.items():
            if uri in self._relays:
                self._relays[uri].update(server)
            else:
                self._relays[uri] = Relay(server, partial(self._opened, uri), self._closed, self._tell_failure)

    def _tell_failure(self, server: TurnServer, error: str) -> None:
        self._failed(str(server), error)

    def hurry(self) -> None:
        """The network changed: whoever pauses tries at once."""
        for relay in self._relays.values():
            relay.hurry()

    async def close(self) -> None:
        """Give every relayed address back, all at once."""
        relays, self._relays = list(self._relays.values()), {}
        await asyncio.gather(*(relay.close() for relay in relays))
        await self._tasks.close()
