"""Every other member and its link: who is there, who is current, who is kept connected, and what happened, as
events."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from atmosphere.channels.channel import Channel
from atmosphere.channels.stream import Stream
from atmosphere.errors import UnknownPeer
from atmosphere.ice.events import ConsentExpired, IceEvent, IceFailed, PathLost, PathRestored, PathSelected
from atmosphere.mesh import events, signals
from atmosphere.mesh.doubts import Doubts
from atmosphere.mesh.linktable import dial_rank, newcomer_wins, rank
from atmosphere.mesh.peer import Peer, Pinger, path_info
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.reconnect import FIRST_WAIT, GRANT_WAIT, Reconnector
from atmosphere.mesh.roster import Roster
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)


class Peers:
    """The table of peers; `attempt` dials one, `emit` takes the events."""

    def __init__(
        self,
        own_id: str,
        roster: Roster,
        *,
        ping: Pinger,
        attempt: Callable[[Peer], Awaitable[None]],
        emit: Callable[[events.Event], None],
    ) -> None:
        self._own_id = own_id
        self._roster = roster
        self._ping = ping
        self._attempt = attempt
        self._emit = emit
        self._peers: dict[str, Peer] = {}
        self._reconnectors: dict[str, Reconnector] = {}
        self._cares: dict[str, Tasks] = {}
        self._tasks = Tasks("peers")
        self._starting = True
        self._doubts = Doubts(ping)
        self._heard: dict[str, tuple[PeerLink, float]] = {}
        self.on_stream: Callable[[Peer, Stream], None] = _ignore
        self.on_channel: Callable[[Peer, Channel], None] = _ignore
        self.granting: Callable[[], set[str]] = set
        self.on_linked: Callable[[PeerLink], None] = lambda link: None
        self.on_unlinked: Callable[[PeerLink], None] = lambda link: None
        self.on_suspected: Callable[[], None] = lambda: None
        self.on_restored: Callable[[PeerLink], None] = lambda link: None

    # --- who is there ---------------------------------------------------------------------------------------------

    def all(self) -> list[Peer]:
        """Every other member, by name."""
        return sorted(self._peers.values(), key=lambda peer: (peer.name, peer.id))

    def get(self, node_id: str) -> Peer | None:
        """The member with that id."""
        return self._peers.get(node_id)

    def link(self, node_id: str) -> PeerLink | None:
        """The current link to the member with that id."""
        peer = self._peers.get(node_id)
        return None if peer is None else peer.link

    def find(self, text: str) -> Peer:
        """The member of that name or unique id prefix; raises UnknownPeer, which lists what there is."""
        named = [peer for peer in self._peers.values() if text in (peer.name, self._roster.name(peer.id))]
        found = named or [peer for peer in self._peers.values() if text and peer.id.startswith(text.lower())]
        if len(found) == 1:
            return found[0]
        listed = ", ".join(f"{peer.name} ({peer.id[:8]})" for peer in (found or self.all())) or "nobody yet"
        problem = f"{text!r} could be several members" if found else f"no member is called {text!r}"
        raise UnknownPeer(f"{problem}; there is: {listed}", hint="use a name or the beginning of an id")

    def neighbours(self) -> list[PeerLink]:
        """The current links whose path works."""
        return [peer.link for peer in self._peers.values() if peer.link is not None and peer.link.alive]

    def reason(self, peer: Peer) -> str | None:
        """Why the last attempt to reach `peer` failed."""
        reconnector = self._reconnectors.get(peer.id)
        return reconnector.last_error if reconnector else None

    def next_try(self, peer: Peer, now: float) -> float | None:
        """Seconds until `peer` is dialed again; None while that is under way, or not needed."""
        reconnector = self._reconnectors.get(peer.id)
        at = reconnector.next_at if reconnector else None
        return None if at is None else max(0.0, at - now)

    # --- coming and going -----------------------------------------------------------------------------------------

    def update(self) -> tuple[list[Peer], list[Peer]]:
        """Follow the roster: care for new members, let go of former ones; who was added and who removed."""
        # Whoever is no member itself would only knock at closed doors.
        everybody = self._roster.members() if self._roster.is_member else {}
        members = everybody.keys() - {self._own_id}
        added = [self._add(node_id) for node_id in sorted(members - self._peers.keys())]
        removed = [self._remove(node_id) for node_id in sorted(self._peers.keys() - members)]
        self._starting = False
        return added, removed

    def _add(self, node_id: str) -> Peer:
        peer = self._peers[node_id] = Peer(node_id, self._roster, self._ping)
        patience = FIRST_WAIT if self._own_id > node_id else 0.0
        reconnector = self._reconnectors[node_id] = Reconnector(
            peer,
            self._attempt,
            rank=dial_rank(self._own_id, node_id),
            rank_of=lambda link: rank(link, self._own_id, node_id),
            patience=GRANT_WAIT if node_id in self.granting() else patience,
            at_once=self._starting,
        )
        self._cares[node_id] = Tasks(f"peer {node_id[:8]}")
        self._cares[node_id].spawn(reconnector.run(), "reconnect")
        self._emit(events.MemberAdded(peer))
        return peer

    def _remove(self, node_id: str) -> Peer:
        peer = self._peers.pop(node_id)
        self._heard.pop(node_id, None)
        self._reconnectors.pop(node_id, None)
        cares = self._cares.pop(node_id)
        self._tasks.spawn(cares.close(), "let go")
        if peer.link is not None:
            self._tasks.spawn(peer.link.close("removed"), "cut")
        self._emit(events.MemberRemoved(peer))
        return peer

    def wake_all(self) -> None:
        """There is news that may help reach anybody."""
        for reconnector in self._reconnectors.values():
            reconnector.wake()

    # --- links ----------------------------------------------------------------------------------------------------

    def install(self, link: PeerLink) -> Peer | None:
        """Make a greeted link the peer's current one, or close it where the rule keeps the other; the peer, or None."""
        peer = self._peers.get(link.peer_id)
        if peer is None:
            self._tasks.spawn(link.close("removed"), "stranger")
            return None
        current = peer.link
        if not newcomer_wins(current, link, self._own_id, peer.id):
            logger.info("%r: a second link, the other one stays", link)
            self._tasks.spawn(link.close("duplicate"), "duplicate")
            return peer
        peer.attach(link)
        link.path.on_event = lambda event: self._path_event(peer, link, event)
        link.path.keep()
        link.on_suspected = self.on_suspected
        link.on_alarmed = lambda: self._changed(peer)
        link.on_believed = lambda: self._believed(peer, link)
        self._tasks.spawn(self._watch(peer, link), "watch")
        link.accept_streams(lambda stream: self.on_stream(peer, stream), lambda channel: self.on_channel(peer, channel))
        self._hear(peer)
        self._reconnectors[peer.id].link_changed()
        self.on_linked(link)
        if current is not None:
            self._tasks.spawn(current.close("duplicate"), "replaced")
            self._emit(peer.moved(path_info(link.session), None))
        else:
            logger.info("connected to %s", peer.name)
            peer.history.connected(path_info(link.session), time.time())
            self._emit(events.PeerConnected(peer))
        return peer

    def contacts_changed(self) -> None:
        """Members may be elsewhere now: their links try that too, so that a path has another to move to."""
        for peer in self._peers.values():
            self._hear(peer)

    def _hear(self, peer: Peer) -> None:
        """Tell the link's ICE session where the peer says it is: a relay, say, that stood only after the link did."""
        contact, link = self._roster.contacts.get(peer.id), peer.link
        if contact is None or link is None or self._heard.get(peer.id) == (link, contact.stamp):
            return
        self._heard[peer.id] = link, contact.stamp
        for candidate in signals.parse_candidates(contact.candidates):
            link.path.add_remote(candidate)

    def _path_event(self, peer: Peer, link: PeerLink, event: IceEvent) -> None:
        logger.info("%s: %s", peer.name, event)
        if isinstance(event, IceFailed | ConsentExpired):
            link.abort("the path is dead")
            return
        if isinstance(event, PathRestored):
            link.doubt()
            self._doubts.about(link)
        moved = True
        if isinstance(event, PathSelected):
            link.alarmed = False
            if event.previous is not None:
                link.verify()
                # Another session over the same addresses may lose the same data.
                moved = event.previous.key != event.pair.key
        if isinstance(event, PathSelected | PathLost | PathRestored):
            self._path_changed(peer, link, event, moved=moved)

    def _path_changed(self, peer: Peer, link: PeerLink, event: IceEvent | None = None, *, moved: bool = True) -> None:
        if peer.link is link:
            link.link.path_changed(moved=moved)
            self._emit(peer.moved(path_info(link.session) if link.alive else None, event))
            self._changed(peer)

    def _believed(self, peer: Peer, link: PeerLink) -> None:
        """The path is back, and the peer is who it was; it may have missed what all others were told meanwhile."""
        self._path_changed(peer, link)
        if peer.link is link:
            self.on_restored(link)

    def dialed_by(self, node_id: str) -> None:
        """That member dials us. Where we have a link to it, it may have lost that one: by a restart, say."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.link is not None:
            # With a link it would not dial a new one, so the first way that works has to be enough.
            self._doubts.about(peer.link, ways=1)

    async def _watch(self, peer: Peer, link: PeerLink) -> None:
        reason = await link.wait_closed()
        await link.ended()
        if peer.detach(link):
            logger.info("the link to %s ended: %s", peer.name, reason)
            peer.history.ended(reason, time.time())
            self._emit(events.PeerDisconnected(peer, reason))
            self._heard.pop(peer.id, None)
            self._changed(peer)
        self.on_unlinked(link)

    def _changed(self, peer: Peer) -> None:
        reconnector = self._reconnectors.get(peer.id)
        if reconnector is not None:
            reconnector.link_changed()

    async def close(self, reason: str) -> None:
        """Say goodbye to everybody and stop caring."""
        for cares in self._cares.values():
            await cares.close()
        links = [peer.link for peer in self._peers.values() if peer.link is not None]
        closing = Tasks("goodbye")
        waits = [closing.spawn(link.close(reason), "close") for link in links]
        for wait in waits:
            if wait is not None:
                await wait
        await self._doubts.close()
        await self._tasks.close()


def _ignore(peer: Peer, arrival: Stream | Channel) -> None:
    """Stand in for a handler that nobody assigned."""
