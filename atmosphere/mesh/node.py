"""A node: this machine in its mesh, as an application uses it. What it is made of is put together in assembly.py."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from atmosphere.errors import CodeError, Refused, Unreachable
from atmosphere.joincode import JoinCode
from atmosphere.mesh import events
from atmosphere.mesh.assembly import VERSION, Assembly
from atmosphere.mesh.feed import Feed
from atmosphere.mesh.handlers import ChannelHandler, Handlers, StreamHandler
from atmosphere.mesh.info import Explanation, InviteInfo, NodeStatus
from atmosphere.mesh.joining import ManualJoin, Progress
from atmosphere.mesh.listeners import NodeSettings, PathPolicy, RelayQuota
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.status import node_status
from atmosphere.mesh.store import Home, Lock, default_home
from atmosphere.names import clean_name

GATHERING = 3.0
"""Seconds that a code waits for slow STUN and TURN servers, so that it can carry what they say."""


class Node:
    """This machine in its mesh; `async with Node() as node` starts and stops it.

    `home` is the state folder, made by `init_home` or by the first `join`. `host` limits which local addresses are
    used, `port` is the one UDP and TCP port (0: any free one). `stun` None means the well-known public servers. With
    `relay` it relays for other members where it can be reached, within `relay_quota`; with `hard_nat` it searches for
    direct paths through routers that change ports.
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
        relay_quota: RelayQuota | None = None,
        port_mapping: bool = True,
        hard_nat: bool = True,
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
            relay_quota=relay_quota or RelayQuota(),
            port_mapping=port_mapping,
            hard_nat=hard_nat,
        )
        self._wanted_name = name
        self._feed = Feed()
        self._handlers = Handlers()
        self._lock = Lock(self.home)
        self._running = False
        self._parts: Assembly

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take the home, bind the port, and begin to reach every member."""
        self._lock.acquire()
        try:
            parts = Assembly(Home.open(self.home, self._wanted_name), self.settings, self._feed, self._handlers)
            await parts.start()
        except BaseException:
            self._lock.release()
            raise
        self._parts = parts
        self._running = True

    async def stop(self, reason: str = "stopped") -> None:
        """Say goodbye to every peer, free the port and the home; idempotent."""
        if not self._running:
            return
        self._running = False
        await self._parts.stop(reason)
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
        return self._parts.home.identity.node_id

    @property
    def name(self) -> str:
        """What this machine is called in the mesh."""
        return self._parts.roster.own_name

    @property
    def mesh_id(self) -> str:
        """The mesh's id in hexadecimal; empty before the first join."""
        return self._parts.roster.mesh_id

    @property
    def mesh_name(self) -> str:
        """What the mesh is called; empty before the first join."""
        return self._parts.roster.mesh_name

    @property
    def port(self) -> int:
        """The one UDP and TCP port."""
        return self._parts.listeners.port

    def status(self) -> NodeStatus:
        """This node, its mesh, its listeners, and the servers it uses."""
        parts = self._parts
        uptime = time.time() - parts.started_at
        return node_status(
            parts.roster,
            parts.listeners,
            parts.meeting,
            parts.peers,
            parts.offering,
            parts.observer.own_side(),
            VERSION,
            uptime,
        )

    # --- members --------------------------------------------------------------------------------------------------

    def peers(self) -> list[Peer]:
        """Every other member, by name."""
        return self._parts.peers.all()

    def peer(self, text: str) -> Peer:
        """The member of that name or unique id prefix; raises UnknownPeer."""
        return self._parts.peers.find(text)

    def explain(self, peer: Peer) -> Explanation:
        """Why `peer` is reached as it is, or why not, and the one change that would help."""
        return self._parts.observer.explain(peer)

    async def remove(self, peer: Peer | str) -> None:
        """Revoke a member everywhere; raises Refused when this node may not."""
        target = self.peer(peer) if isinstance(peer, str) else peer
        self._parts.roster.revoke(target.id)
        self._parts.hosting.revoke_used_by(target.id)

    async def promote(self, peer: Peer | str) -> None:
        """Let a member invite and remove others; raises Refused when this node may not."""
        target = self.peer(peer) if isinstance(peer, str) else peer
        self._parts.roster.promote(target.id)

    async def leave(self) -> None:
        """Tell the others, forget the mesh and this node's identity, and stop; a founder's root key is gone with it."""
        self._parts.roster.farewell()
        await self.stop("left")
        self._parts.home.forget()

    # --- join codes -----------------------------------------------------------------------------------------------

    async def invite(self, uses: int = 1, expires: float = 3600.0) -> JoinCode:
        """A new join code for `uses` joiners within `expires` seconds; raises Refused when this node may not invite."""
        await self._parts.listeners.endpoint.gathered(GATHERING)
        return self._parts.hosting.invite(
            uses, expires, self._parts.dialer.candidates(), self._parts.meeting.code_servers()
        )

    def invites(self) -> list[InviteInfo]:
        """The join codes that can still be used."""
        return self._parts.hosting.invites()

    def revoke_invite(self, invite_id: str) -> None:
        """Take a join code back; raises CodeError when there is none of that id."""
        self._parts.hosting.revoke(invite_id)

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
        if self._parts.roster.is_member:
            return await self._rejoin(parsed, timeout)
        return await self._parts.joining.join(
            parsed, clean_name(name or "") or self.name, progress or (lambda step: None), timeout
        )

    async def join_manual(self, code: JoinCode | str, *, name: str | None = None) -> ManualJoin:
        """Begin to join without any server: `reply` goes to the host by hand, then `wait()` for the host's `accept`."""
        parsed = self._parse(code)
        if self._parts.roster.is_member:
            raise Refused(f"this node is already a member of {self.mesh_name}")
        await self._parts.listeners.endpoint.gathered(GATHERING)
        return await self._parts.joining.join_manual(parsed, clean_name(name or "") or self.name)

    async def accept(self, reply: str, timeout: float = 30.0) -> Peer:
        """Complete a join by hand: the reply code that `join_manual` gave the other side. Raises CodeError,
        Unreachable."""
        joiner = await self._parts.hosting.accept_reply(reply).node_id(timeout)
        return self._parts.peers.find(joiner)

    def _parse(self, code: JoinCode | str) -> JoinCode:
        parsed = JoinCode.parse(code, time.time()) if isinstance(code, str) else code
        if self.mesh_id and bytes.fromhex(self.mesh_id) != parsed.mesh_id:
            raise CodeError(
                f"this code is for another mesh ({parsed.mesh_name}); this node belongs to {self.mesh_name}",
                reason="foreign",
                hint="use another --home, or `atmosphere leave` first",
            )
        if parsed.host_id == self.id:
            raise CodeError("this is this node's own join code", reason="foreign", hint="use it on another machine")
        return parsed

    async def _rejoin(self, code: JoinCode, timeout: float) -> Peer:
        peer = self._parts.peers.get(code.host_id)
        if peer is None:
            raise Unreachable("this node is a member already, but the code's host is not, or no longer")
        await peer.wait_connected(timeout)
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
