"""Is the peer still the one that shook hands? Asked when something suggests that it was restarted.

A pair's secret outlives both processes, so a node that was restarted answers the checks of its former links too: ICE
sees a living path, and nobody is behind it. What only the former process could do is to answer a Ping over its DTLS.
"""

from __future__ import annotations

import logging

from atmosphere.errors import AtmosphereError
from atmosphere.mesh.peer import Pinger
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds for the answer: long enough for a slow path and one retransmission."""


class Doubts:
    """Asks the other end of links for a sign of life, and ends those that give none."""

    def __init__(self, ping: Pinger) -> None:
        self._ping = ping
        self._asked: set[PeerLink] = set()
        self._tasks = Tasks("doubts")

    def about(self, link: PeerLink) -> None:
        """Ask `link`, unless that is under way."""
        if link not in self._asked:
            self._asked.add(link)
            self._tasks.spawn(self._ask(link), "ask")

    async def _ask(self, link: PeerLink) -> None:
        before = link.link.packets_received
        try:
            await self._ping(link, PATIENCE)
        except AtmosphereError:
            self._judge(link, heard=link.link.packets_received > before)
        else:
            link.believe()
        finally:
            self._asked.discard(link)

    def _judge(self, link: PeerLink, *, heard: bool) -> None:
        """No pong came; a peer that is only slow still sent something that nobody else could have sealed."""
        if heard:
            link.believe()
        elif link.session.state == "connected":
            # Without a path nobody could answer: that would be ICE's to judge, and it may come back.
            logger.info("%r: nobody answers, although the path works; the peer was restarted", link)
            link.abort("the other side was restarted")

    async def close(self) -> None:
        """Ask no more."""
        await self._tasks.close()
