"""The parts of a running node, put together: who calls whom is decided here and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from importlib.metadata import PackageNotFoundError, version

from atmosphere.errors import Refused
from atmosphere.joincode import JoinCode
from atmosphere.mesh import events, greeting, wire
from atmosphere.mesh.about import Abouts
from atmosphere.mesh.announcing import Announcing
from atmosphere.mesh.connecting import Connecting
from atmosphere.mesh.dialer import Dialer
from atmosphere.mesh.feed import Feed
from atmosphere.mesh.gossip import Gossip
from atmosphere.mesh.handlers import Handlers
from atmosphere.mesh.hardnat import HardNatSearches
from atmosphere.mesh.hosting import Hosting
from atmosphere.mesh.joining import Joining, relays_of, stun_of
from atmosphere.mesh.listeners import Listeners, NodeSettings
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.member_turn import MemberTurn
from atmosphere.mesh.observing import Observer
from atmosphere.mesh.offering import Offering, refusal
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.peers import Peers
from atmosphere.mesh.relay_users import RelayUsers
from atmosphere.mesh.relaying import Relaying
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.servers import Servers
from atmosphere.mesh.signaler import Signaler
from atmosphere.mesh.store import Home
from atmosphere.mesh.surroundings import Surroundings
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)

try:
    VERSION = version("atmosphere-mesh")
except PackageNotFoundError:  # pragma: no cover (run from a source tree that was never installed)
    VERSION = "0"

MAINTENANCE = 5.0
"""Seconds between looks at what expires by itself: invites and memberships."""


class Assembly:
    """Everything that runs for one home; `feed` and `handlers` are the application's and outlive it."""

    def __init__(self, home: Home, settings: NodeSettings, feed: Feed, handlers: Handlers) -> None:
        self.home = home
        self.settings = settings
        self.feed = feed
        self.handlers = handlers
        self.roster = Roster(home)
        self._users = RelayUsers(home.identity, lambda: self.roster.mesh_id_bytes, self.roster.public_key)
        self._no_relay = refusal(settings)
        self._turn = None if self._no_relay else MemberTurn(settings, self._users)
        self.listeners = Listeners(
            settings,
            lambda node_id: self.roster.member(node_id) is not None,
            self._turn,
            home.identity.own_secret("atmosphere port mapping v1"),
        )
        self.started_at = 0.0
        self._boot = os.urandom(8)
        self._removed = False
        self._running = False
        self._surroundings = Surroundings()
        self._tasks = Tasks("node")

    async def start(self) -> None:
        """Bind the port and begin to reach every member; raises AtmosphereError when the port is taken, or when a
        setting makes no sense."""
        await self.listeners.start()
        self._put_together()
        try:
            self.meeting.start(self.listeners.port, self._learned_servers())
            await self.offering.start()
        except BaseException:
            await self._close_network()
            raise
        self._running = True
        self.started_at = time.time()
        self._follow_roster()
        self.announcing.start()
        self._tasks.spawn(self._maintain(), "maintenance")

    def _put_together(self) -> None:
        identity, endpoint = self.home.identity, self.listeners.endpoint
        self.servers = Servers(self.settings, lambda stun, turn: endpoint.set_servers(stun, turn))
        self.meeting = Meeting(identity, self.settings, self.servers.lend)
        self.signaler = Signaler(identity, self.roster, self.meeting, self._neighbours)
        self.dialer = Dialer(endpoint, identity)
        self.gossip = Gossip(identity.node_id, self.roster, self._neighbours)
        self.connecting = Connecting(
            identity, self.roster, self.dialer, self.signaler, hello=self._hello, install=self._install
        )
        self.peers = Peers(
            identity.node_id, self.roster, ping=self.gossip.ping, attempt=self.connecting.attempt, emit=self._emit
        )
        wanted = self.settings.hard_nat and self.settings.path_policy != "relay"
        self.hard_nat = HardNatSearches(identity.node_id, endpoint, enabled=wanted)
        self.hosting = Hosting(
            self.home, self.roster, self.dialer, self.signaler, hello=self._hello, install=self._install
        )
        self.joining = Joining(identity, self.dialer, self.signaler, self.meeting, adopt=self._adopt)
        self.offering = Offering(self._turn, self._no_relay, endpoint)
        self.relaying = Relaying(self.roster, self._users, endpoint, self.servers, self.meeting)
        self.announcing = Announcing(identity, self.roster, endpoint, self.meeting, self.gossip, self.offering.uris)
        self.abouts = Abouts(lambda: self.observer.about(), self._neighbours)
        self.observer = Observer(
            self.settings,
            self.roster,
            endpoint,
            meeting=self.meeting,
            relaying=self.relaying,
            peers=self.peers,
            attempts=self.connecting.attempts,
            abouts=self.abouts,
        )
        self.observer.searches = self.hard_nat if wanted else None
        self._wire_up()

    def _wire_up(self) -> None:
        self.roster.on_facts = self._facts_arrived
        self.roster.on_contacts = self._contacts_arrived
        self._users.invite_secret = self.hosting.usable_secret
        self.hosting.on_revoked = self.offering.revoke
        self.joining.on_code = lambda code: self.servers.join(stun_of(code), relays_of(code))
        self.meeting.on_payload = self.signaler.envelope_received
        self.meeting.on_news = self._met
        self.listeners.endpoint.on_change.append(self.meeting.hurry)
        self.gossip.on_signal = self.signaler.envelope_received
        self.gossip.on_bye = self._bye
        self.gossip.on_about = self.abouts.heard
        self.signaler.on_member = self.connecting.signal_received
        self.signaler.on_joiner = self.hosting.signal_received
        self.signaler.on_host = self.joining.signal_received
        self.signaler.secret_of = lambda invite: self.joining.secret_of(invite) or self.hosting.secret_of(invite)
        self.peers.on_stream = self.handlers.stream_arrived
        self.peers.on_channel = self.handlers.channel_arrived
        self.peers.on_linked = self._linked
        self.peers.on_unlinked = self._unlinked
        self.peers.granting = lambda: self.hosting.granting
        self.peers.on_restored = self.gossip.welcome
        self.peers.on_suspected = self.listeners.endpoint.look_again
        self.connecting.on_dialed = self.peers.dialed_by
        self.connecting.link_of = self.peers.link
        self.announcing.on_candidates = self._candidates_changed
        self.offering.on_change = self.announcing.soon

    async def stop(self, reason: str) -> None:
        """Say goodbye to every peer and free the port."""
        self._running = False
        await self._tasks.close()
        await self.joining.close()
        await self.announcing.close()
        await self.handlers.close()
        await self.hard_nat.close()
        await self.peers.close(reason)
        await self.dialer.close()
        await self._close_network()

    async def _close_network(self) -> None:
        self.servers.close()
        await self.meeting.close()
        await self.offering.close()
        await self.listeners.close()

    async def _adopt(self, link: PeerLink, granted: wire.Granted, code: JoinCode, name: str) -> Peer:
        """Make a grant our own, on disk first; then the link that brought it is the link to the host."""
        self.roster.adopt(code, granted, name)
        self.meeting.learn(code.signaling)
        await greeting.greet_dialed(link, self.roster, self._hello(), code.host_id)
        peer = self._install(link)
        if peer is None:
            raise Refused("the host granted a membership of a mesh that it is not in itself")
        self.announcing.now()
        return peer

    def _learned_servers(self) -> list[str]:
        """The signaling servers that members named in their contacts, first those that most of them name: there is room
        for a few, and one member shall not fill it."""
        found = [self.roster.contacts.get(node_id) for node_id in self.roster.members()]
        named = Counter(url for contact in found if contact is not None for url in dict.fromkeys(contact.signaling))
        return [url for url, _ in named.most_common()]

    def _neighbours(self) -> list[PeerLink]:
        return self.peers.neighbours()

    def _hello(self) -> wire.Hello:
        return wire.Hello(wire.PROTOCOL, self.roster.mesh_id, self._boot, VERSION, self.roster.own_chain())

    def _install(self, link: PeerLink) -> Peer | None:
        self._follow_roster()
        link.run(self._heard)
        return self.peers.install(link)

    def _linked(self, link: PeerLink) -> None:
        self.gossip.welcome(link)
        self.hard_nat.linked(link)
        self.abouts.welcome(link)
        self.peers.wake_all()

    def _unlinked(self, link: PeerLink) -> None:
        self.gossip.link_ended(link)
        self.hard_nat.unlinked(link)

    def _heard(self, link: PeerLink, message: wire.Message) -> None:
        if isinstance(message, wire.Nat | wire.Punch):
            self.hard_nat.handle(link, message)
        else:
            self.gossip.handle(link, message)

    def _emit(self, event: events.Event) -> None:
        self.feed.emit(event)
        if isinstance(event, events.PathChanged) and event.peer.link is not None:
            self.hard_nat.path_changed(event.peer.link)

    def _bye(self, link: PeerLink, reason: str) -> None:
        logger.info("%r: the other side says goodbye: %s", link, reason)
        self._tasks.spawn(link.close(f"the other side: {reason}", say=False), "bye")

    def _met(self) -> None:
        """A signaling server can be used from now on."""
        self.dialer.tell_candidates(again=True)
        self.peers.wake_all()

    def _candidates_changed(self) -> None:
        self.offering.update()
        self.hard_nat.network_changed()
        self.dialer.tell_candidates()
        self.peers.wake_all()
        self._look_around()

    def _look_around(self) -> None:
        """Tell the application, and the neighbours, what changed around this node."""
        for event in self._surroundings.look(self.listeners.endpoint.addresses, self.observer.mapped()):
            self.feed.emit(event)
        self.abouts.update()

    def _facts_arrived(self, fresh: list[bytes]) -> None:
        """Pass on what is new, then act on it: whom a fact removes shall still hear it."""
        self.gossip.share_facts(fresh)
        asyncio.get_running_loop().call_soon(self._follow_roster)

    def _contacts_arrived(self) -> None:
        self.relaying.update()
        self.peers.contacts_changed()

    def _follow_roster(self) -> None:
        """Members came or went: listen for them, care for them; and notice when we are none ourselves."""
        if not self._running:
            return
        self.offering.follow(self.roster.members())
        self.connecting.follow_roster()
        self.abouts.keep_only(self.roster.members())
        self.peers.update()
        self.relaying.update()
        removed = bool(self.roster.mesh_id) and not self.roster.is_member
        if removed and not self._removed:
            self.feed.emit(events.MembershipRevoked("this node was removed from the mesh"))
        self._removed = removed

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE)
            self.hosting.sweep()
            self.offering.update()
            self._look_around()
            self._follow_roster()
