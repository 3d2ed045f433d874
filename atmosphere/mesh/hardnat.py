"""Searches for direct paths where a router gives every destination another port: who is asked, and when.

The search itself is in ice/hardnat/; here the two sides agree, over the relayed link that carries the data meanwhile.

    probing side                            opening side
    Nat, Punch start: my socket's address   see which ports my NAT gives, open many towards that address
    send checks to its ports                Nat, Punch ready: my address, the ports that my NAT gave last

Of two sequential NATs both open, and the node with the smaller id asks. One search at a time; one per pair of networks.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from typing import Literal, TypeGuard

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.hardnat.plan import NotTried, Plan, leads
from atmosphere.ice.hardnat.targets import is_needed, trust
from atmosphere.mesh import wire
from atmosphere.mesh.hardnat_own import OwnNat
from atmosphere.mesh.hardnat_rules import UNTOLD, Ledger, behaviour_in, side_in
from atmosphere.mesh.hardnat_run import Run, is_relayed, within
from atmosphere.mesh.hardnat_told import FAN_TRIES, Told
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.tasks import Tasks
from signaling.printable import printable

logger = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that plain checks have for themselves."""
LOOK_AGAIN, LOOK_SELDOM = 1.0, 30.0
"""Seconds between looks whether they have failed, and whether it is known what the routers do: at first, and at last.
"""
PRESUME = 6.0
"""Seconds until what is not known of a router is presumed; answers of peers may come that tell."""
PROOF, PROOF_IF_ASKED, PROOF_LOOK = 8.0, 3.0, 0.2
"""Seconds to wait for the other side to show itself at its address, which makes the search a quick one: relays may be
slow to come. Of the side that asks, and of the one that is asked; and between two looks."""
ANSWER = 8.0
"""Seconds for the other side to agree."""
BUSY_TRIES, BUSY_PAUSE = 5, 10.0
GATHERING = 5.0
BUSY = "busy with another search"


class HardNatSearches:
    """Looks after relayed links. `enabled` is False where the owner wants none of it; the other side is told so."""

    def __init__(self, own_id: str, endpoint: IceEndpoint, *, enabled: bool) -> None:
        self._own_id = own_id
        self._endpoint = endpoint
        self._enabled = enabled
        self._own = OwnNat(endpoint, searches=enabled)
        self._links: dict[PeerLink, Told] = {}
        self._considered: set[PeerLink] = set()
        self._findings: dict[str, str] = {}
        self._ledger = Ledger()
        self._searching = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._tasks = Tasks("hard NATs")

    # --- what happens ---------------------------------------------------------------------------------------------

    def linked(self, link: PeerLink) -> None:
        """A link is up: tell it what our NAT does, and look after its path."""
        self._links[link] = Told(link, self._own)
        self._tasks.spawn(self._tell_gathered(link), "tell")
        self.path_changed(link)

    def unlinked(self, link: PeerLink) -> None:
        """The link is gone."""
        told = self._links.pop(link, None)
        if told is not None and told.run is not None:
            told.run.stop()

    def path_changed(self, link: PeerLink) -> None:
        """The link may have become relayed, or one of the two networks another."""
        if self._enabled and link in self._links and link not in self._considered and is_relayed(link):
            self._considered.add(link)
            self._tasks.spawn(self._consider(link), "consider")

    def network_changed(self) -> None:
        """Our own addresses changed: every peer hears what our NAT does now."""
        for link, told in list(self._links.items()):
            told.tell()
            self.path_changed(link)

    def handle(self, link: PeerLink, message: wire.Nat | wire.Punch) -> None:
        """The other side says what its NAT does, or something about a search."""
        told = self._links.get(link)
        if told is None:
            return
        if isinstance(message, wire.Nat):
            told.theirs = message
            link.remote_nat = behaviour_in(message)
            self.path_changed(link)
        elif message.what == "start":
            self._asked(link, told, message)
        elif message.number == told.number:
            self._answered(told, message)

    def finding(self, peer_id: str) -> str | None:
        """What became of the last search for a path to that peer, or why there was none."""
        return self._findings.get(peer_id)

    async def close(self) -> None:
        """End every search."""
        await self._tasks.close()

    def _answered(self, told: Told, message: wire.Punch) -> None:
        if told.answer is not None and not told.answer.done():
            told.answer.set_result(message)
        elif message.what == "stop" and told.run is not None:
            told.run.stop()

    def _asked(self, link: PeerLink, told: Told, message: wire.Punch) -> None:
        """The other side wants to search."""
        if not self._enabled:
            self._refuse(link, message, "it is switched off there")
        elif self._searching.locked() or told.is_asked:
            self._refuse(link, message, BUSY)
        else:
            told.number, told.is_asked = message.number, True
            self._tasks.spawn(self._follow(link, told, message), "follow")

    # --- when -----------------------------------------------------------------------------------------------------

    async def _consider(self, link: PeerLink) -> None:
        """Search, once plain checks have failed."""
        try:
            while await self._is_due(link):
                await self._search_until_not_busy(link)
                await asyncio.sleep(LOOK_SELDOM)  # what is known may change without a word of anybody
        finally:
            self._considered.discard(link)

    async def _is_due(self, link: PeerLink) -> bool:
        await asyncio.sleep(PATIENCE)
        pause, presume_at = LOOK_AGAIN, _now() + PRESUME
        while (told := self._links.get(link)) is not None and is_relayed(link):
            if told.theirs is not UNTOLD and is_needed(link.session.report()):
                told.tell()
                found = told.plan()
                if isinstance(found, NotTried) and not found.is_final:
                    self._note(link, f"not tried: {found.reason}")
                elif isinstance(found, NotTried):
                    return True
                elif not found.is_presumed or _now() >= presume_at:
                    await self._proof(link, told, PROOF)
                    return True
            await asyncio.sleep(pause)
            pause = min(1.2 * pause, LOOK_SELDOM)
        return False

    async def _proof(self, link: PeerLink, told: Told, patience: float) -> None:
        """Wait until the other side has answered from the address that it says it has, or not any longer."""
        for _ in range(int(patience / PROOF_LOOK)):
            if trust(told.theirs.address, link.session.report()) == "proven" or not is_relayed(link):
                return
            await asyncio.sleep(PROOF_LOOK)

    async def _search_until_not_busy(self, link: PeerLink) -> None:
        for _ in range(BUSY_TRIES):
            async with self._searching:
                told = self._links.get(link)
                busy = told is not None and await self._lead(link, told)
            if not busy:
                return
            await asyncio.sleep(BUSY_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads load

    # --- the side that asks ---------------------------------------------------------------------------------------

    async def _lead(self, link: PeerLink, told: Told) -> bool:
        """Ask for a search where that is ours to do, and search; True when the other side was busy."""
        for _ in range(FAN_TRIES):
            mine = await self._to_ask(link, told)
            answer = None if mine is None else await self._ask(link, told, mine)
            if mine is None or answer is None:
                return False
            if answer.what == "stop":
                return self._was_refused(link, answer)
            if await self._run(link, told, mine, answer) or mine.part != "fan":
                return False
        return False

    async def _to_ask(self, link: PeerLink, told: Told) -> Plan | None:
        """Our part in a search that is ours to ask for and was not made yet; None where there is none."""
        peer, networks, times = told.entry()
        if not is_relayed(link) or not self._ledger.may(peer, networks, times):
            return None
        mine = told.plan()
        if self._is_ours_to_ask(mine, link):
            if not self._ledger.begin(peer, networks, _now(), times):
                return None
            if mine.part == "fan":
                await self._own.sample()
                mine = told.plan(is_sampled=True)
        told.tell()
        if self._is_ours_to_ask(mine, link):
            return mine
        if isinstance(mine, NotTried):
            self._note(link, f"not tried: {mine.reason}")
        else:
            self._ledger.undo(peer)  # the other side will ask, now that it knows our ports
        return None

    def _is_ours_to_ask(self, mine: Plan | NotTried, link: PeerLink) -> TypeGuard[Plan]:
        return isinstance(mine, Plan) and leads(mine.part, is_first=self._own_id < link.peer_id)

    async def _ask(self, link: PeerLink, told: Told, mine: Plan) -> wire.Punch | None:
        told.number = next(self._numbers) % (1 << 32)
        told.answer = asyncio.get_running_loop().create_future()
        logger.info("%r: asking for a search (%s)", link, mine.part)
        link.offer(self._punch(link, "start", told.number, mine))
        try:
            async with asyncio.timeout(ANSWER):
                return await told.answer
        except TimeoutError:
            self._note(link, "not tried: the other side did not answer")
            return None
        finally:
            told.answer = None

    def _was_refused(self, link: PeerLink, answer: wire.Punch) -> bool:
        if answer.reason == BUSY:
            self._ledger.undo(link.peer_id)
            return True
        self._note(link, f"not tried: the other side says: {printable(answer.reason)}")
        return False

    # --- the side that is asked -----------------------------------------------------------------------------------

    async def _follow(self, link: PeerLink, told: Told, asked: wire.Punch) -> None:
        try:
            async with self._searching:
                mine = await self._to_agree(link, told, asked)
                told.tell()
                if isinstance(mine, NotTried):
                    self._give_up(link, asked, mine.reason)
                    return
                link.offer(self._punch(link, "ready", asked.number, mine))
                await self._run(link, told, mine, asked)
        finally:
            told.is_asked = False

    async def _to_agree(self, link: PeerLink, told: Told, asked: wire.Punch) -> Plan | NotTried:
        if asked.ufrag != link.session.dialer_ufrag or not is_relayed(link):
            return NotTried("the path is another by now")
        peer, networks, times = told.entry()
        if not self._ledger.begin(peer, networks, _now(), times):
            return NotTried("it was done already, and neither network has changed")
        await self._proof(link, told, PROOF_IF_ASKED)
        await self._own.sample()
        mine = told.plan(is_sampled=True)
        if isinstance(mine, NotTried):
            return mine
        if leads(mine.part, is_first=self._own_id < link.peer_id):
            self._ledger.undo(peer)  # it may be ours to ask, now that more is known
            return NotTried("the two sides do not agree about who does what")
        return within(self._endpoint, link, mine, asked)

    # --- the search -----------------------------------------------------------------------------------------------

    async def _run(self, link: PeerLink, told: Told, mine: Plan, other: wire.Punch) -> bool:
        """Search, as agreed; whether the path is direct now."""
        agreed = within(self._endpoint, link, mine, other)
        if isinstance(agreed, NotTried) or self._links.get(link) is not told:
            self._give_up(link, other, agreed.reason if isinstance(agreed, NotTried) else "the link is gone")
            return False
        run = told.run = Run(self._endpoint, link, agreed, side_in(told.theirs), other, self._own.opening)
        try:
            how = await run.search()
        finally:
            told.run = None
        link.offer(wire.Punch("stop", other.number, other.ufrag, reason=how))
        direct = await run.is_direct()
        if direct:
            self._ledger.undo(link.peer_id)  # should it be lost, a search is due again
        self._note(link, f"{'found' if direct else 'given up'} after {run.effort}")
        return direct

    # --- what is said ---------------------------------------------------------------------------------------------

    async def _tell_gathered(self, link: PeerLink) -> None:
        """Say it once servers had time to answer; what they say later is told when it changes."""
        await self._endpoint.gathered(GATHERING)
        told = self._links.get(link)
        if told is not None:
            told.tell()

    def _punch(self, link: PeerLink, what: Literal["start", "ready"], number: int, mine: Plan) -> wire.Punch:
        nat, ufrag = self._own.told(), link.session.dialer_ufrag
        ports = self._own.opening or self._own.given
        return wire.Punch(what, number, ufrag, nat.address, nat.port, ports, mine.sockets, mine.probes)

    def _give_up(self, link: PeerLink, other: wire.Punch, reason: str) -> None:
        self._note(link, f"not tried: {reason}")
        self._refuse(link, other, reason)

    def _refuse(self, link: PeerLink, asked: wire.Punch, reason: str) -> None:
        link.offer(wire.Punch("stop", asked.number, asked.ufrag, reason=reason))

    def _note(self, link: PeerLink, finding: str) -> None:
        if self._findings.get(link.peer_id) != finding:
            logger.info("%r: port guessing: %s", link, finding)
            self._findings[link.peer_id] = finding


def _now() -> float:
    return asyncio.get_running_loop().time()
