"""A node: one identity, one port, one mesh. Everything of this floor is put together here and decided elsewhere."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Self

from atmosphere.errors import CodeError, Refused, StateError, Unreachable
from atmosphere.joincode import JoinCode
from atmosphere.mesh import events, greeting, wire
from atmosphere.mesh.announcing import Announcing
from atmosphere.mesh.connecting import Connecting
from atmosphere.mesh.dialer import Dialer
from atmosphere.mesh.feed import Feed
from atmosphere.mesh.gossip import Gossip
from atmosphere.mesh.handlers import ChannelHandler, Handlers, StreamHandler
from atmosphere.mesh.hosting import Hosting
from atmosphere.mesh.info import InviteInfo, NodeStatus
from atmosphere.mesh.joining import Joining, ManualJoin, Progress
from atmosphere.mesh.listeners import Listeners, NodeSettings, PathPolicy
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.peers import Peers
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.signaler import Signaler
from atmosphere.mesh.status import node_status
from atmosphere.mesh.store import Home, Lock, default_home
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)

try:
    VERSION = version("atmosphere-mesh")
except PackageNotFoundError:  # pragma: no cover (run from a source tree that was never installed)
    VERSION = "0"

GATHERING = 3.0
"""Seconds that a code waits for slow STUN and TURN servers, so that it can carry what they say."""

MAINTENANCE = 5.0
"""Seconds between looks at what expires by itself: invites and memberships."""


class Node:
    """This machine in its mesh; `async with Node() as node` starts and stops it.

    `home` is the state folder, made by `init_home` or by the first `join`. `host` limits which local addresses are
    used, `port` is the one UDP and TCP port (0: any free one). `stun` None means the well-known public servers.
    Raises StateError where the home is not usable or another node holds it, and where the port is taken.
    """

    def __init__(
        self,
        home: Path | str | None = None,
        *,
        port: int = 7777,
        host: str | Iterable[str] | None = None,
        signaling: Iterable[str] = (),
        stun: Iterable[str] | None = None,
        turn: Iterable[str] = (),
        path_policy: PathPolicy = "any",
        relay: bool = True,
        port_mapping: bool = True,
        inbox: Path | str | None = None,
        name: str | None = None,
    ) -> None:
        self.home = Path(home) if home is not None else default_home()
        self.inbox = Path(inbox) if inbox is not None else self.home / "inbox"
        hosts = (host,) if isinstance(host, str) else tuple(host or ())
        self.settings = NodeSettings(
            port=port,
            host=hosts,
            signaling=tuple(signaling),
            stun=None if stun is None else tuple(stun),
            turn=tuple(turn),
            path_policy=path_policy,
            relay=relay,
            port_mapping=port_mapping,
        )
        self._wanted_name = name
        self._boot = os.urandom(8)
        self._feed = Feed()
        self._handlers = Handlers()
        self._started_at: float | None = None
        self._removed = False

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take the home, bind the port, and begin to reach every member."""
        # These imports take long: here, not in the first link's handshake, where they would look like a slow path.
        await asyncio.to_thread(import_module, "atmosphere.sctp.library")
        self._lock = Lock(self.home)
        self._lock.acquire()
        try:
            self._home = Home.open(self.home, self._wanted_name)
            self._roster = Roster(self._home)
            self._listeners = Listeners(self.settings, lambda node_id: self._roster.member(node_id) is not None)
            await self._listeners.start()
        except BaseException:
            self._lock.release()
            raise
        self._tasks = Tasks("node")
        self._put_together()
        self._started_at = time.time()
        self._meeting.start(self._listeners.port, self._learned_servers())
        self._follow_roster()
        self._announcing.start()
        self._tasks.spawn(self._maintain(), "maintenance")

    def _put_together(self) -> None:
        identity, endpoint = self._home.identity, self._listeners.endpoint
        self._meeting = Meeting(identity, self.settings, endpoint)
        self._signaler = Signaler(identity, self._roster, self._meeting, self._neighbours)
        self._dialer = Dialer(endpoint, identity)
        self._gossip = Gossip(identity.node_id, self._roster, self._neighbours)
        self._connecting = Connecting(
            identity, self._roster, self._dialer, self._signaler, hello=self._hello, install=self._install
        )
        self._peers = Peers(
            identity.node_id,
            self._roster,
            ping=self._gossip.ping,
            attempt=self._connecting.attempt,
            emit=self._feed.emit,
        )
        self._hosting = Hosting(
            self._home, self._roster, self._dialer, self._signaler, hello=self._hello, install=self._install
        )
        self._joining = Joining(identity, self._dialer, self._signaler, self._meeting, adopt=self._adopt)
        self._announcing = Announcing(identity, self._roster, endpoint, self._meeting, self._gossip)
        self._wire_up()

    def _wire_up(self) -> None:
        self._roster.on_facts = self._facts_arrived
        self._meeting.on_payload = self._signaler.envelope_received
        self._meeting.on_news = self._met
        self._gossip.on_signal = self._signaler.envelope_received
        self._gossip.on_bye = self._bye
        self._signaler.on_member = self._connecting.signal_received
        self._signaler.on_joiner = self._hosting.signal_received
        self._signaler.on_host = self._joining.signal_received
        self._signaler.secret_of = lambda invite: self._joining.secret_of(invite) or self._hosting.secret_of(invite)
        self._peers.on_stream = self._handlers.stream_arrived
        self._peers.on_channel = self._handlers.channel_arrived
        self._peers.on_linked = self._linked
        self._announcing.on_candidates = self._candidates_changed

    async def stop(self, reason: str = "stopped") -> None:
        """Say goodbye to every peer, free the port and the home; idempotent."""
        if self._started_at is None:
            return
        self._started_at = None
        await self._tasks.close()
        await self._joining.close()
        await self._announcing.close()
        await self._handlers.close()
        await self._peers.close(reason)
        await self._dialer.close()
        await self._meeting.close()
        await self._listeners.close()
        self._feed.close()
        self._lock.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The node id: base32 of the SHA-256 of its public key."""
        return self._home.identity.node_id

    @property
    def name(self) -> str:
        """What this machine is called in the mesh."""
        return self._roster.own_name

    @property
    def mesh_id(self) -> str:
        """The mesh's id in hexadecimal; empty before the first join."""
        return self._roster.mesh_id

    @property
    def mesh_name(self) -> str:
        """What the mesh is called; empty before the first join."""
        return self._roster.mesh_name

    @property
    def port(self) -> int:
        """The one UDP and TCP port."""
        return self._listeners.port

    def status(self) -> NodeStatus:
        """This node, its mesh, its listeners, and the servers it uses."""
        uptime = time.time() - self._started_at if self._started_at else 0.0
        return node_status(self._roster, self._listeners, self._meeting, self._peers, VERSION, uptime)

    # --- members --------------------------------------------------------------------------------------------------

    def peers(self) -> list[Peer]:
        """Every other member, by name."""
        return self._peers.all()

    def peer(self, text: str) -> Peer:
        """The member of that name or unique id prefix; raises UnknownPeer."""
        return self._peers.find(text)

    def explain(self, peer: Peer) -> list[str]:
        """Why the path to `peer` is what it is, a line a finding."""
        return self._connecting.explain(peer, self._peers.reason(peer))

    async def remove(self, peer: Peer | str) -> None:
        """Revoke a member everywhere; raises Refused when this node may not."""
        target = self.peer(peer) if isinstance(peer, str) else peer
        self._roster.revoke(target.id)
        self._hosting.revoke_used_by(target.id)

    async def promote(self, peer: Peer | str) -> None:
        """Let a member invite and remove others; raises Refused when this node may not."""
        target = self.peer(peer) if isinstance(peer, str) else peer
        self._roster.promote(target.id)

    async def leave(self) -> None:
        """Tell the others, forget the mesh, and stop; the founder cannot leave a mesh with members in it."""
        self._roster.farewell()
        await self.stop("left")
        self._home.forget()

    # --- join codes -----------------------------------------------------------------------------------------------

    async def invite(self, uses: int = 1, expires: float = 3600.0) -> JoinCode:
        """A new join code for `uses` joiners within `expires` seconds; raises Refused when this node may not invite."""
        await self._listeners.endpoint.gathered(GATHERING)
        return self._hosting.invite(uses, expires, self._dialer.candidates(), self._meeting.public_servers())

    def invites(self) -> list[InviteInfo]:
        """The join codes that can still be used."""
        return self._hosting.invites()

    def revoke_invite(self, invite_id: str) -> None:
        """Take a join code back; raises CodeError when there is none of that id."""
        self._hosting.revoke(invite_id)

    async def join(
        self,
        code: JoinCode | str,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        timeout: float = 30.0,
    ) -> Peer:
        """Become a member by a join code; the host as a peer. Raises CodeError, Refused, Unreachable."""
        parsed = self._parse(code)
        if self._is_member_of(parsed):
            return await self._rejoin(parsed, timeout)
        return await self._joining.join(parsed, name or self.name, progress or (lambda step: None), timeout)

    async def join_manual(self, code: JoinCode | str, *, name: str | None = None) -> ManualJoin:
        """Begin to join without any server: `reply` goes to the host by hand, then `wait()` for the host's `accept`."""
        parsed = self._parse(code)
        if self._is_member_of(parsed):
            raise Refused(f"this node is already a member of {self.mesh_name}")
        await self._listeners.endpoint.gathered(GATHERING)
        return await self._joining.join_manual(parsed, name or self.name)

    async def accept(self, reply: str, timeout: float = 30.0) -> Peer:
        """Complete a join by hand: the reply code that `join_manual` gave the other side. Raises CodeError,
        Unreachable."""
        joiner = await self._hosting.accept_reply(reply).node_id(timeout)
        return self._peers.find(joiner)

    def _parse(self, code: JoinCode | str) -> JoinCode:
        parsed = JoinCode.parse(code, time.time()) if isinstance(code, str) else code
        if self.mesh_id and not self._is_member_of(parsed):
            raise CodeError(
                f"this code is for another mesh ({parsed.mesh_name}); this node belongs to {self.mesh_name}",
                reason="foreign",
                hint="use another --home, or `atmosphere leave` first",
            )
        if parsed.host_id == self.id:
            raise CodeError("this is this node's own join code", reason="foreign", hint="use it on another machine")
        return parsed

    def _is_member_of(self, code: JoinCode) -> bool:
        return bool(self.mesh_id) and self.mesh_id.startswith(code.mesh_id.hex())

    async def _rejoin(self, code: JoinCode, timeout: float) -> Peer:
        peer = self._peers.get(code.host_id)
        if peer is None:
            raise Unreachable("this node is a member already, but the code's host is not, or no longer")
        await peer.wait_connected(timeout)
        return peer

    async def _adopt(self, link: PeerLink, granted: wire.Granted, code: JoinCode, name: str) -> Peer:
        """Make a grant our own, on disk first; then the link that brought it is the link to the host."""
        self._roster.adopt(code, granted, name)
        self._meeting.learn(code.signaling)
        await greeting.greet_dialed(link, self._roster, self._hello(), code.host_id)
        peer = self._install(link)
        if peer is None:
            raise Refused("the host granted a membership of a mesh that it is not in itself")
        self._announcing.now()
        return peer

    # --- the application ------------------------------------------------------------------------------------------

    def on_stream(self, name: str, handler: StreamHandler) -> None:
        """Run `handler(stream)` as a task of the node for every stream that a peer opens under `name`."""
        self._handlers.on_stream(name, handler)

    def on_channel(self, label: str, handler: ChannelHandler) -> None:
        """Run `handler(channel)` as a task of the node for every channel that a peer opens under `label`."""
        self._handlers.on_channel(label, handler)

    def events(self) -> AsyncIterator[events.Event]:
        """What happens from now on, until the node stops: PeerConnected, PathChanged, …"""
        return self._feed.listen()

    # --- inside ---------------------------------------------------------------------------------------------------

    def _learned_servers(self) -> list[str]:
        """The signaling servers that members named in their contacts."""
        found = [self._roster.contacts.get(node_id) for node_id in self._roster.members()]
        return [url for contact in found if contact is not None for url in contact.signaling]

    def _neighbours(self) -> list[PeerLink]:
        return self._peers.neighbours()

    def _hello(self) -> wire.Hello:
        return wire.Hello(wire.PROTOCOL, self._roster.mesh_id, self._boot, VERSION, self._roster.own_chain())

    def _install(self, link: PeerLink) -> Peer | None:
        self._follow_roster()
        link.run(self._gossip.handle)
        return self._peers.install(link)

    def _linked(self, link: PeerLink) -> None:
        self._gossip.welcome(link)
        self._peers.wake_all()

    def _bye(self, link: PeerLink, reason: str) -> None:
        logger.info("%r: the other side says goodbye: %s", link, reason)
        self._tasks.spawn(link.close(f"the other side: {reason}", say=False), "bye")

    def _met(self) -> None:
        """A signaling server can be used from now on."""
        self._dialer.tell_candidates(again=True)
        self._peers.wake_all()

    def _candidates_changed(self) -> None:
        self._dialer.tell_candidates()
        self._peers.wake_all()

    def _facts_arrived(self, fresh: list[bytes]) -> None:
        """Pass on what is new, then act on it: whom a fact removes shall still hear it."""
        self._gossip.share_facts(fresh)
        asyncio.get_running_loop().call_soon(self._follow_roster)

    def _follow_roster(self) -> None:
        """Members came or went: listen for them, care for them; and notice when we are none ourselves."""
        if self._started_at is None:
            return
        self._connecting.follow_roster()
        self._peers.update()
        removed = bool(self.mesh_id) and not self._roster.is_member
        if removed and not self._removed:
            self._feed.emit(events.MembershipRevoked("this node was removed from the mesh"))
        self._removed = removed

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE)
            self._hosting.sweep()
            self._follow_roster()


__all__ = ["VERSION", "Node", "StateError"]
