"""One agreed search over one link: within which limits, against whom, and whether it led to a direct path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.hardnat.plan import NotTried, Plan, Side, meeting_port
from atmosphere.ice.hardnat.ports import search_order
from atmosphere.ice.hardnat.search import Search
from atmosphere.ice.hardnat.searcher import Searcher
from atmosphere.ice.hardnat.sockets import room_for
from atmosphere.ice.hardnat.targets import CAUTIOUS_PROBES, CAUTIOUS_SOCKETS, trust
from atmosphere.mesh import wire
from atmosphere.mesh.peerlink import PeerLink

__all__ = ["Run", "is_relayed", "within"]

logger = logging.getLogger(__name__)

SETTLE, LOOK = 4.0, 0.1
"""Seconds for what was found to become the path, and between two looks."""


def is_relayed(link: PeerLink) -> bool:
    """Whether the link works by way of a relay now."""
    path = link.session.path
    return path is not None and path.kind == "relay"


def within(endpoint: IceEndpoint, link: PeerLink, mine: Plan, other: wire.Punch) -> Plan | NotTried:
    """The plan within the other side's limits, and those of our descriptors and of what we know of its address."""
    public = endpoint.nat.public
    if public is None:
        return NotTried("no STUN server answers this side")
    if other.address == public[0]:
        return NotTried("both are behind the same router")
    level = trust(other.address, link.session.report(), endpoint.lent_by(link.peer_id))
    if level is None or (mine.part == "open" and not other.port):
        return NotTried("an address was named that nothing was heard from")
    room = mine.sockets if mine.part == "probe" else room_for(mine.sockets)
    if not room:
        return NotTried("there are too few file descriptors")
    sockets, probes = min(room, other.sockets), min(mine.probes, other.probes)
    if level == "named":
        sockets, probes = min(sockets, CAUTIOUS_SOCKETS), min(probes, CAUTIOUS_PROBES)
    return replace(mine, sockets=sockets, probes=probes, is_cautious=level == "named")


class Run:
    """A search that is going on."""

    def __init__(
        self,
        endpoint: IceEndpoint,
        link: PeerLink,
        agreed: Plan,
        theirs: Side,
        other: wire.Punch,
        ports: Sequence[int] = (),
    ) -> None:
        """Open `ports` first. Raises ValueError when there is no socket to search from any more."""
        base = endpoint.nat.base
        if base is None:
            raise ValueError("no STUN server answers")
        self._link = link
        self._search = _search(agreed, theirs, other, asyncio.get_running_loop().time())
        if agreed.is_cautious:
            self._search.slow_down()
        sockets = 0 if agreed.part == "probe" else agreed.sockets
        logger.info("%r: searching (%s, %d sockets)", link, agreed.part, sockets)
        self._searcher = Searcher(endpoint, link.session, base, self._search, sockets, ports)

    def stop(self) -> None:
        """The other side ended it."""
        self._searcher.stop()

    async def search(self) -> str:
        """Search; one word for how it ended."""
        return (await self._searcher.run()).how

    async def is_direct(self) -> bool:
        """Wait for what was found to become the path."""
        outcome = self._search.outcome
        for _ in range(int(SETTLE / LOOK) if outcome is not None and outcome.how != "exhausted" else 0):
            if not is_relayed(self._link):
                break
            await asyncio.sleep(LOOK)
        path = self._link.session.path
        return path is not None and path.kind == "direct"

    @property
    def effort(self) -> str:
        """What it took, in words."""
        outcome = self._search.outcome
        seconds = 0.0 if outcome is None else outcome.seconds
        return f"{seconds:.1f} s and {self._search.sent} checks"


def _search(agreed: Plan, theirs: Side, other: wire.Punch, now: float) -> Search:
    port = other.port
    if agreed.part == "fan":
        port = meeting_port(theirs.allocation, other.ports)
    order = search_order(theirs.allocation, other.ports, Random())  # noqa: S311 - the order is no secret
    return Search(
        agreed.part,
        (other.address, port),
        now,
        sockets=agreed.sockets,
        probes=agreed.probes,
        seconds=agreed.seconds,
        ports=order,
    )
