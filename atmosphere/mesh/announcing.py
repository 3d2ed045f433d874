"""Telling the mesh where we are: our contact, signed anew whenever our candidates, servers or relay change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.identity import Identity
from atmosphere.mesh import contacts, signals
from atmosphere.mesh.gossip import Gossip
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.roster import Roster
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)

SETTLE = 0.5
"""Seconds from the first change to the new contact: servers answer one after the other."""

AGAIN = 5.0
"""Seconds until a contact that our own address book did not take, because of too many before it, is tried again."""

STEP = 0.001
"""Seconds by which a contact is newer than the one before, whatever the clock says: it may have been set back."""

MAX_CANDIDATES = 16


class Announcing:
    """Follows the endpoint's candidates and keeps our contact current; `relays` are the TURN URIs of our own relay."""

    def __init__(
        self,
        identity: Identity,
        roster: Roster,
        endpoint: IceEndpoint,
        meeting: Meeting,
        gossip: Gossip,
        relays: Callable[[], list[str]],
    ) -> None:
        self._identity = identity
        self._roster = roster
        self._endpoint = endpoint
        self._meeting = meeting
        self._gossip = gossip
        self._relays = relays
        self._changed = asyncio.Event()
        self._tasks = Tasks("announcing")
        self._refused = False
        self._told: tuple[list[str], list[str], list[str]] | None = None
        self.on_candidates: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Announce now and at every change."""
        self._endpoint.on_candidate = self._candidate
        self._endpoint.on_change.append(self._network_changed)
        self.now()
        self._tasks.spawn(self._run(), "contact")

    def now(self) -> None:
        """Announce what is known so far, if that is news."""
        self._announce()

    def soon(self) -> None:
        """Something may have changed: announce it once things have settled."""
        self._changed.set()

    def _candidate(self, candidate: Candidate) -> None:
        logger.info("candidate: %s %s:%d", candidate.type, candidate.address, candidate.port)
        self.on_candidates()
        self.soon()

    def _network_changed(self) -> None:
        self.on_candidates()
        self.soon()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN if self._refused else None):
                    await self._changed.wait()
            await asyncio.sleep(SETTLE)
            self._changed.clear()
            self._announce()

    def _announce(self) -> None:
        if not self._roster.is_member:
            return
        lines = signals.candidate_lines(self._endpoint.candidates)[:MAX_CANDIDATES]
        now = (lines, self._meeting.public_servers()[:8], self._relays()[:4])
        self._refused = False
        if now == self._told:
            return
        contact = contacts.Contact(self._identity.node_id, self._stamp(), *now)
        signed = contacts.sign(contact, self._identity.sign)
        if not self._roster.add_contacts([signed]):
            self._refused = True
            return
        self._told = now
        self._gossip.share_contact(signed)

    def _stamp(self) -> float:
        known, now = self._roster.contacts.get(self._identity.node_id), time.time()
        if known is None or known.stamp > now + contacts.MAX_AHEAD:  # said by a clock that was wrong: taken by nobody
            return now
        return max(now, known.stamp + STEP)

    async def close(self) -> None:
        """Announce no more."""
        await self._tasks.close()
