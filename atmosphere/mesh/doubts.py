"""Is the peer still the one that shook hands? Asked when something suggests that it was restarted.

A pair's secret outlives both processes, so a node that was restarted answers the checks of its former links too: ICE
sees a living path, and nobody is behind it. What only the former process could do is to answer a Ping over its DTLS.
"""

from __future__ import annotations

import asyncio
import logging

from atmosphere.errors import AtmosphereError, LinkError
from atmosphere.mesh.peer import Pinger
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds for the answer: long enough for a slow path and one retransmission."""

TRIES = 4
"""Questions within that time: each is sent at once, whatever was lost before it."""

QUIET = 1.5
"""A question counts for nothing when ICE has heard no answer for so long (seconds) either: checks go every second."""

WAYS = 2
"""Pairs of addresses that are tried before nobody is said to be there."""


class Doubts:
    """Asks the other end of links for a sign of life, and ends those that give none."""

    def __init__(self, ping: Pinger) -> None:
        self._ping = ping
        self._asked: set[PeerLink] = set()
        self._tasks = Tasks("doubts")

    def about(self, link: PeerLink, ways: int = WAYS) -> None:
        """Ask `link`, unless that is under way, over so many pairs of addresses one after the other."""
        if link not in self._asked:
            self._asked.add(link)
            self._tasks.spawn(self._ask(link, ways), "ask")

    async def _ask(self, link: PeerLink, ways: int) -> None:
        try:
            answered = await self._is_there(link, ways)
        finally:
            self._asked.discard(link)
        if answered:
            link.believe()
        elif answered is False:
            logger.info("%r: nobody answers, although the path works; the peer was restarted", link)
            link.abort("the other side was restarted")

    async def _is_there(self, link: PeerLink, ways: int) -> bool | None:
        """Whether the peer answers by one of some ways; None when there is no path.

        Without a path nobody could answer: that would be ICE's to judge, and it may come back.
        """
        for way in range(1, ways + 1):
            if await self._answered(link):
                return True
            if link.lost:
                return None
            if way == ways:
                break
            # Or it is there, and this pair of addresses lets checks through and no data.
            moves = link.path.moves
            link.path.distrust()
            if link.path.moves == moves:
                break
        return False

    async def _answered(self, link: PeerLink) -> bool:
        """Whether a pong comes; or anything: a peer that is only slow still sends what nobody else could have
        sealed."""
        loop, before = asyncio.get_running_loop(), link.link.packets_received
        in_vain = 0
        while in_vain < TRIES:
            over = loop.time() + PATIENCE / TRIES
            try:
                await self._ping(link, PATIENCE / TRIES)
            except LinkError:
                return False
            except AtmosphereError:
                # It may have failed at once, for want of room among all the pings of a node: that is no answer.
                await asyncio.sleep(over - loop.time())
                if link.link.packets_received > before:
                    return True
                # A path that has just fallen silent again, or is back just now, tells nothing of who is there.
                in_vain += link.path.quiet < QUIET
                if link.lost:
                    return False
            else:
                return True
        return False

    async def close(self) -> None:
        """Ask no more."""
        await self._tasks.close()
