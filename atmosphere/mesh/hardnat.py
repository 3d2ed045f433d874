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
from atmosphere.ice.hardnat.plan import NotTried, Plan, is_hard, leads, plan
from atmosphere.ice.hardnat.targets import is_needed
from atmosphere.mesh import wire
from atmosphere.mesh.hardnat_own import OwnNat
from atmosphere.mesh.hardnat_rules import UNTOLD, Ledger, behaviour_in, network_of, side_in
from atmosphere.mesh.hardnat_run import Run, is_relayed, within
from atmosphere.mesh.hardnat_told import Told, proven
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
PROOF, PROOF_IF_ASKED = 8.0, 3.0
"""Seconds to wait for the other side to show itself at its address, which makes the search a quick one: relays may be
slow to come. Of the side that asks, and of the one that is asked."""
ANSWER = 8.0
"""Seconds for the other side to agree."""
FAN_TRIES = 3
BUSY_TRIES, BUSY_PAUSE = 5, 10.0
GATHERING = 5.0
BUSY = "busy with another search"
DISAGREE = "the two sides do not agree about who does what"


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
        self._links[link] = Told()
        self._tasks.spawn(self._tell_gathered(link), "tell")
        self.path_changed(link)

    def unlinked(self, link: PeerLink) -> None:
        """The link is gone."""
        told = self._links.pop(link, None)
        if told is not None:
            told.stop()

    def path_changed(self, link: PeerLink) -> None:
        """The link may have become relayed, or one of the two networks another."""
        if self._enabled and link in self._links and link not in self._considered and is_relayed(link):
            self._considered.add(link)
            self._tasks.spawn(self._consider(link), "consider")

    def network_changed(self) -> None:
        """Our own addresses changed: every peer hears what our NAT does now."""
        for link, told in list(self._links.items()):
            self._tell(link, told)
            self.path_changed(link)

    def handle(self, link: PeerLink, message: wire.Nat | wire.Punch) -> None:
        """The other side says what its NAT does, or something about a search."""
        told = self._links.get(link)
        if told is None:
            return
        if isinstance(message, wire.Nat):
            told.hear(message)
            link.remote_nat = behaviour_in(message)
            self.path_changed(link)
        elif message.what == "start":
            self._asked(link, told, message)
        elif message.number == told.number:
            told.answered(message)

    def finding(self, peer_id: str) -> str | None:
        """What became of the last search for a path to that peer, or why there was none."""
        return self._findings.get(peer_id)

    async def close(self) -> None:
        """End every search."""
        await self._tasks.close()

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
            presume_at = _now() + PATIENCE + PRESUME
            while await self._is_due(link, presume_at):
                await self._search_until_not_busy(link)
                if (told := self._links.get(link)) is not None:
                    await told.wait_for_news(LOOK_SELDOM)  # what is known may change without any
        finally:
            self._considered.discard(link)

    async def _is_due(self, link: PeerLink, presume_at: float) -> bool:
        await asyncio.sleep(PATIENCE)
        pause = LOOK_AGAIN
        while (told := self._links.get(link)) is not None and is_relayed(link):
            if told.theirs is not UNTOLD and is_needed(link.session.report()):
                self._tell(link, told)
                found = self._plan(told)
                if isinstance(found, NotTried) and not found.is_final:
                    self._note(link, f"not tried: {found.reason}")
                elif isinstance(found, NotTried):
                    return True
                elif not found.is_presumed or _now() >= presume_at:
                    await proven(self._endpoint, link, told.theirs.address, PROOF)
                    return True
            await asyncio.sleep(pause)
            pause = min(1.2 * pause, LOOK_SELDOM)
        return False

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
            agreed = self._plan(told)  # the other side has seen its own ports meanwhile
            if not self._is_ours_to_ask(agreed, link):
                self._ledger.undo(link.peer_id)
                self._give_up(link, answer, DISAGREE)
                return False
            if await self._run(link, told, agreed, answer) or agreed.part != "fan":
                return False
        return False

    async def _to_ask(self, link: PeerLink, told: Told) -> Plan | None:
        """Our part in a search that is ours to ask for and was not made yet; None where there is none."""
        peer, networks, times = self._entry(link, told)
        if not is_relayed(link) or not self._ledger.may(peer, networks, times):
            return None
        mine = self._plan(told)
        if self._is_ours_to_ask(mine, link):
            if not self._ledger.begin(peer, networks, _now(), times):
                return None
            if mine.part == "fan":
                await self._own.sample()
                mine = self._plan(told, is_sampled=True)
        self._tell(link, told)
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
        if answer.reason in (BUSY, DISAGREE):
            self._ledger.undo(link.peer_id)  # the other side may ask for what this was
        if answer.reason == BUSY:
            return True
        self._note(link, f"not tried: the other side says: {printable(answer.reason)}")
        return False

    # --- the side that is asked -----------------------------------------------------------------------------------

    async def _follow(self, link: PeerLink, told: Told, asked: wire.Punch) -> None:
        try:
            async with self._searching:
                mine = await self._to_agree(link, told, asked)
                self._tell(link, told)
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
        peer, networks, times = self._entry(link, told)
        if not self._ledger.begin(peer, networks, _now(), times):
            return NotTried("it was done already, and neither network has changed")
        await proven(self._endpoint, link, told.theirs.address, PROOF_IF_ASKED)
        await self._own.sample()
        mine = self._plan(told, is_sampled=True)
        if isinstance(mine, NotTried):
            return mine
        if leads(mine.part, is_first=self._own_id < link.peer_id):
            self._ledger.undo(peer)  # it may be ours to ask, now that more is known
            told.note_news()
            return NotTried(DISAGREE)
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

    # --- what is known, and said ----------------------------------------------------------------------------------

    def _plan(self, told: Told, *, is_sampled: bool = False) -> Plan | NotTried:
        if self._own.address is None:
            return NotTried("no STUN server answers this side", is_final=False)
        ours = side_in(self._own.told())
        mine = plan(ours, side_in(told.theirs))
        if is_sampled and isinstance(mine, Plan) and mine.part == "fan" and ours.allocation.kind == "unknown":
            return NotTried("both routers change ports, and how this side's chooses them could not be seen")
        return mine

    def _are_both_hard(self, told: Told) -> bool:
        return is_hard(self._own.told().mapping) and is_hard(told.theirs.mapping)

    def _entry(self, link: PeerLink, told: Told) -> tuple[str, object, int]:
        """What the ledger knows a search by, and how often it may be made: two sequential NATs can miss each other."""
        networks = (network_of(self._own.told()), network_of(told.theirs), link.boot)
        return link.peer_id, networks, FAN_TRIES if self._are_both_hard(told) else 1

    def _tell(self, link: PeerLink, told: Told) -> None:
        nat = self._own.told()
        if told.ours != nat:
            told.ours = nat
            link.offer(nat)

    async def _tell_gathered(self, link: PeerLink) -> None:
        """Say it once servers had time to answer; what they say later is told when it changes."""
        await self._endpoint.gathered(GATHERING)
        told = self._links.get(link)
        if told is not None:
            self._tell(link, told)

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
