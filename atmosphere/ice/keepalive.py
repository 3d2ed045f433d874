"""How often idle paths and our sockets' mappings are kept alive: as rarely as the NAT that we are behind allows.

    known of the NAT                                                         seconds between two checks, at most
    nothing                                                                  `REST`
    how long it remembers a silent mapping (RFC 5780 §4.6, `nat_lifetime`)   half of that, 5 to 18
    our own mapping was another one twice, though it was kept alive          half of what it was, 5 at the least

The first needs a STUN server of more than one address and is asked once for each network, behind everything else; what
it finds is only ever bounded good or bad luck, whoever made it up. Another network begins anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from atmosphere.ice.agent import REST_LEAST, REST_MOST
from atmosphere.ice.consent import REST
from atmosphere.ice.nat_lifetime import probe_lifetime
from atmosphere.tasks import Tasks

__all__ = ["KeepAlive"]

logger = logging.getLogger(__name__)

SETTLE = 10.0
"""Seconds that a network is left alone before its NAT is asked: links are set up first."""
LIMIT = 2 * REST_MOST
SERVERS = 2
"""How many are asked to measure, until one can."""
TWICE = 2

Address = tuple[str, int]


class KeepAlive:
    """Measures, and calls `apply(seconds)` when the interval is another one.

    `servers()` is the local address behind the NAT and those who can measure from there; none while there are none.
    """

    def __init__(self, servers: Callable[[], tuple[str, Sequence[Address]]], apply: Callable[[float], None]) -> None:
        self._servers = servers
        self._apply = apply
        self._tasks = Tasks("keep-alive")
        self._measuring: asyncio.Task[None] | None = None
        self._lost = 0
        self.interval = REST
        """Seconds between two checks of an idle path, at most."""

    def learned(self) -> None:
        """A server told our mapping: measure, where that was not done in this network and there is somebody to ask."""
        if self._measuring is None and self._servers()[1]:
            self._measuring = self._tasks.spawn(self._measure(), "measure")

    def forgotten(self) -> None:
        """Our mapping is another one, though it was kept alive. Once may be a router that was switched on again."""
        self._lost += 1
        if self._lost >= TWICE:
            self._lost = 0
            self._set(self.interval / 2)

    def network_changed(self) -> None:
        """Another NAT, perhaps."""
        if self._measuring is not None:
            self._measuring.cancel()
            self._measuring = None
        self._lost = 0
        self._set(REST)

    async def close(self) -> None:
        """Measure no more."""
        await self._tasks.close()

    async def _measure(self) -> None:
        await asyncio.sleep(SETTLE)
        local, servers = self._servers()
        for server in servers[:SERVERS]:
            lived = await probe_lifetime(server, LIMIT, local=local, used=True)
            if lived is not None:
                logger.info("the NAT remembers a silent mapping for %g s, tried up to %g", lived, LIMIT)
                self._set(lived / 2)
                return

    def _set(self, seconds: float) -> None:
        seconds = min(max(seconds, REST_LEAST), REST_MOST)
        if seconds != self.interval:
            self.interval = seconds
            self._apply(seconds)
