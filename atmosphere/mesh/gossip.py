"""What current links say to each other: facts, contacts, signals for others, pings, goodbyes.

Facts and contacts only accumulate, so whatever is new to us goes on to every other neighbour and the mesh converges
in any order.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable

from atmosphere.errors import LinkError, Unreachable
from atmosphere.mesh import wire
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.roster import Roster
from atmosphere.names import clean_name
from signaling.limits import KeyedBuckets

logger = logging.getLogger(__name__)

FACTS_A_MESSAGE = 64
CONTACTS_A_MESSAGE = 32
MAX_PINGS = 1024
"""Of this node's own: after a change of its network every peer is asked at once."""
FORWARD_RATE, FORWARD_BURST = 10.0, 200.0
"""Signals handed on for one neighbour, a second and at once: an attempt to connect needs a handful."""
MAX_FORWARDING = 1024


class Gossip:
    """Handles the control messages of every greeted link."""

    def __init__(self, own_id: str, roster: Roster, neighbours: Callable[[], list[PeerLink]]) -> None:
        self._own_id = own_id
        self._roster = roster
        self._neighbours = neighbours
        self._numbers = itertools.count(1)
        self._pings: dict[tuple[PeerLink, int], asyncio.Future[float]] = {}
        self._forwarding = KeyedBuckets(FORWARD_RATE, FORWARD_BURST, MAX_FORWARDING)
        self.on_signal: Callable[[str, bytes], None] = lambda source, payload: None
        self.on_bye: Callable[[PeerLink, str], None] = lambda link, reason: None
        self.on_about: Callable[[PeerLink, wire.About], None] = lambda link, about: None

    def welcome(self, link: PeerLink) -> None:
        """First words to a new neighbour: a digest of what we hold, and every contact."""
        link.post(wire.Digest(self._roster.digest()))
        self._post_contacts([link], self._roster.contacts.encoded())

    def handle(self, link: PeerLink, message: wire.Message) -> None:
        """Act on one message of `link`."""
        match message:
            case wire.Ping(number):
                link.post(wire.Pong(number))
            case wire.Pong(number):
                self._pong(link, number)
            case wire.Signal():
                self._signal(link, message)
            case wire.Digest(digest):
                if digest != self._roster.digest():
                    link.post(wire.Have(self._roster.fact_ids()))
            case wire.Have(ids):
                self._post_facts([link], self._roster.facts_beyond(ids))
            case wire.Facts(facts):
                self._roster.add_facts(facts)
            case wire.Contacts(contacts):
                self._contacts(link, contacts)
            case wire.Bye(reason):
                self.on_bye(link, clean_name(reason))
            case _:
                self._rest(link, message)

    def _rest(self, link: PeerLink, message: wire.Message) -> None:
        if isinstance(message, wire.About):
            self.on_about(link, message)
        else:
            logger.debug("%r: a greeting came late", link)

    def share_facts(self, facts: list[bytes]) -> None:
        """Tell every neighbour of `facts` that are new to us; who knows them already drops them."""
        if facts:
            self._post_facts(self._neighbours(), facts)

    def share_contact(self, contact: bytes) -> None:
        """Tell every neighbour of our own contact."""
        self._post_contacts(self._neighbours(), [contact])

    def _contacts(self, link: PeerLink, contacts: list[bytes]) -> None:
        fresh = self._roster.add_contacts(contacts)
        if fresh:
            self._post_contacts([other for other in self._neighbours() if other is not link], fresh)

    def _signal(self, link: PeerLink, signal: wire.Signal) -> None:
        if signal.destination == self._own_id:
            self.on_signal(signal.source, signal.payload)
            return
        # One hop only: whoever sends through us names itself, so nothing can circle.
        if signal.source != link.peer_id or not self._forwarding.take(link.peer_id, time.monotonic()):
            return
        for other in self._neighbours():
            if other.peer_id == signal.destination:
                # Whoever floods a member through us shall not cost it its link to us.
                other.offer(signal)

    async def ping(self, link: PeerLink, timeout: float) -> float:
        """The round-trip time of one ping in seconds; raises Unreachable after `timeout` seconds, LinkError when the
        link ends before."""
        if len(self._pings) >= MAX_PINGS:
            raise Unreachable("too many pings are under way")
        number = next(self._numbers)
        answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._pings[link, number] = answered
        began = time.perf_counter()
        try:
            link.post(wire.Ping(number))
            async with asyncio.timeout(timeout):
                return await answered - began
        except TimeoutError as error:
            raise Unreachable(f"no answer within {timeout:g} s") from error
        finally:
            self._pings.pop((link, number), None)

    def link_ended(self, link: PeerLink) -> None:
        """Nobody will answer on `link` any more."""
        for (asked, _), answered in self._pings.items():
            if asked is link and not answered.done():
                answered.set_exception(LinkError("the link ended before the answer came"))

    def _pong(self, link: PeerLink, number: int) -> None:
        answered = self._pings.get((link, number))
        if answered is not None and not answered.done():
            answered.set_result(time.perf_counter())

    def _post_facts(self, links: Iterable[PeerLink], facts: list[bytes]) -> None:
        batches = [facts[start : start + FACTS_A_MESSAGE] for start in range(0, len(facts), FACTS_A_MESSAGE)]
        for link, batch in itertools.product(links, batches):
            link.post(wire.Facts(batch))

    def _post_contacts(self, links: Iterable[PeerLink], contacts: list[bytes]) -> None:
        starts = range(0, len(contacts), CONTACTS_A_MESSAGE)
        for link, start in itertools.product(links, starts):
            link.post(wire.Contacts(contacts[start : start + CONTACTS_A_MESSAGE]))
