"""When to look at the network again: as soon as something says that it changed, and now and then anyway.

On Linux the kernel says so at once (netlink). Elsewhere, and beside that, it is looked at every few seconds. A machine
that slept, and a socket that finds no way out, are told of changes too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from atmosphere.udp.clock import read_clocks, slept
from atmosphere.udp.netlink import AddressChange, LinkChange, NetworkChange, RouteChange
from atmosphere.udp.netlink_socket import NetlinkSocket

__all__ = ["Following"]

logger = logging.getLogger(__name__)

SETTLE = 0.3
"""Seconds without further news until a change is looked at: an address is followed by its routes."""
LONGEST = 1.0
"""Seconds from the first news that a look waits at the most."""
TICK = 3.0
"""Seconds between looks at the clocks, and at the network where the kernel says nothing by itself."""
RARELY = 10
"""Of so many ticks one looks at the network where the kernel does."""
SLEPT = 3.0
"""Seconds of sleep from which on nothing is believed to be as it was."""
DOUBT_FIRST, DOUBT_LAST = 1.0, 60.0
"""Seconds between looks because of sockets that find no way, doubling while there is nothing to see: a machine with
half an IPv6 has such errors all day."""


class Following:
    """Calls `look(sure)`, which says whether there was a change; `sure` where there was one, whatever it looks like.

    `own()` are the addresses and the names of interfaces that are in use: when one of them goes, that is news at once.
    """

    def __init__(self, look: Callable[[bool], bool], own: Callable[[], Collection[str]]) -> None:
        self._look_at_network = look
        self._own = own
        self._netlink: NetlinkSocket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._sure = False
        self._waiting_since: float | None = None
        self._looked_at = float("-inf")
        self._ticks = 0
        self._doubt_again = DOUBT_FIRST
        self._no_doubt_until = float("-inf")

    def start(self) -> None:
        """Follow from now on."""
        self._loop = asyncio.get_running_loop()
        self._netlink = NetlinkSocket.open(self.heard)
        logger.debug("changes of the network are %s", "told" if self._netlink else f"looked for every {TICK:g} s")
        self._clocks = read_clocks()
        self._tick = self._loop.call_later(TICK, self._ticked, TICK)

    def close(self) -> None:
        """Follow no more. Twice is fine."""
        self._no_doubt_until = float("inf")
        if self._netlink is not None:
            self._netlink.close()
        for timer in (self._timer, self._tick):
            if timer is not None:
                timer.cancel()

    def doubt(self) -> None:
        """A socket finds no way to where it sends."""
        now = self._loop.time()
        if now >= self._no_doubt_until:
            self._no_doubt_until = now + self._doubt_again
            self._doubt_again = min(2 * self._doubt_again, DOUBT_LAST)
            self._soon()

    def heard(self, changes: list[NetworkChange] | None) -> None:
        """The kernel says what changed; None: it says no more than that."""
        if changes is None:
            self._soon()
            return
        own = self._own()
        lost = any(_is_loss(change, own) for change in changes)
        news = [change for change in changes if not isinstance(change, RouteChange) or change.default]
        # One that comes is none: some systems set IPv6's default route anew with every advertisement of the router.
        self._sure |= lost or any(isinstance(change, RouteChange) and change.gone for change in news)
        if lost and self._loop.time() - self._looked_at >= SETTLE:
            self._look()
        elif news:
            self._soon()

    def _soon(self) -> None:
        """Look once no more is said."""
        now = self._loop.time()
        if self._waiting_since is None:
            self._waiting_since = now
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + SETTLE, self._waiting_since + LONGEST), self._look)

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._waiting_since = None
        sure, self._sure = self._sure, False
        if self._look_at_network(sure):
            self._doubt_again = DOUBT_FIRST
        self._looked_at = self._loop.time()

    def _ticked(self, waited: float) -> None:
        self._tick = self._loop.call_later(TICK, self._ticked, TICK)
        before, self._clocks = self._clocks, read_clocks()
        asleep = slept(before, self._clocks, waited)
        self._ticks += 1
        if asleep >= SLEPT:
            logger.info("this machine slept for %.0f s", asleep)
            self._sure = True
        if asleep >= SLEPT or self._netlink is None or self._ticks % RARELY == 0:
            self._look()


def _is_loss(change: NetworkChange, own: Collection[str]) -> bool:
    """Whether an address or an interface that we use is gone."""
    if isinstance(change, AddressChange):
        return change.gone and change.address in own
    return isinstance(change, LinkChange) and not change.up and change.name in own
