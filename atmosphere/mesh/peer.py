"""A member of the mesh as the application sees it: connected or not, always the same object."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from atmosphere.errors import LinkError, Unreachable
from atmosphere.light import Event, Queue
from atmosphere.mesh.events import PathChanged
from atmosphere.mesh.history import History
from atmosphere.mesh.info import PathEndInfo, PathInfo, PeerInfo, PeerState

if TYPE_CHECKING:
    from atmosphere.channels.channel import Channel
    from atmosphere.channels.stream import Stream
    from atmosphere.ice.candidate import Candidate
    from atmosphere.ice.events import IceEvent
    from atmosphere.ice.session import IceSession
    from atmosphere.ice.settings import PathPolicy
    from atmosphere.mesh.peerlink import PeerLink
    from atmosphere.mesh.roster import Roster

logger = logging.getLogger(__name__)

MAX_DATAGRAMS = 256
"""Datagrams kept for a reader that is late; the oldest goes first, as on any socket."""

MAX_LAST_SEEN = 16
"""Addresses of a former link that are tried again, as many as a contact has."""

Pinger = Callable[["PeerLink", float], Awaitable[float]]


class Peer:
    """Another member: its name, its state, and the ways to talk to it."""

    def __init__(self, node_id: str, roster: Roster, ping: Pinger) -> None:
        self.id = node_id
        self._roster = roster
        self._ping = ping
        self._link: PeerLink | None = None
        self._last_seen: list[Candidate] = []
        self._linked = Event()
        self._datagrams: Queue[bytes] = Queue(MAX_DATAGRAMS)
        self.history = History()
        self._path_policy: PathPolicy | None = None
        self.trying = False
        """Whether an attempt to reach it is under way."""

    def __repr__(self) -> str:
        return f"<Peer {self.name} {self.id[:8]} {self.state}>"

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The member's name, with a part of its id where two members share one."""
        return self._roster.display_name(self.id)

    @property
    def link(self) -> PeerLink | None:
        """The current link; replaced without notice when a better one comes."""
        return self._link

    @property
    def state(self) -> PeerState:
        """connected, connecting, or offline (the node tries again by itself)."""
        if self._link is not None and self._link.alive:
            return "connected"
        return "connecting" if self.trying or self._link is not None else "offline"

    def info(self) -> PeerInfo:
        """Everything there is to say, shaped as the command line's JSON."""
        role = self._roster.role(self.id)
        link = self._link
        if link is None or not link.alive:
            return PeerInfo(self.id, self.name, self.state, role, last_change=self.history.last_change)
        session = link.session
        return PeerInfo(
            self.id,
            self.name,
            self.state,
            role,
            path=path_info(session),
            rtt_ms=session.rtt_ms,
            jitter_ms=session.jitter_ms,
            loss=session.loss,
            bytes_sent=link.link.bytes_sent,
            bytes_received=link.link.bytes_received,
            connected_at=link.connected_at,
            version=link.version,
            path_since=self.history.since,
            last_change=self.history.last_change,
        )

    def set_path_policy(self, policy: PathPolicy | None) -> None:
        """Which paths links to this member may use: any, direct or relay; None: what the node's own policy says.

        It holds for the present link at once, whose path moves before it is given up where another works within 5 s,
        and for those to come. The node's own policy, where it is not "any", stands above it.
        """
        if policy is None and self._path_policy is None:
            return
        self._path_policy = policy
        if self._link is not None:
            for session in self._link.path.sessions:
                session.set_policy(policy or "any")

    # --- talking to it --------------------------------------------------------------------------------------------

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait until there is a link; raises Unreachable after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._linked.wait()
        except TimeoutError as error:
            raise self._unreachable() from error

    async def open_stream(self, name: str) -> Stream:
        """A new stream to the peer's handler of `name`; raises Unreachable when there is no link."""
        return await self._current().link.open_stream(name)

    async def open_channel(
        self,
        label: str,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime_ms: int | None = None,
        priority: int = 256,
    ) -> Channel:
        """A new message channel, with RTCDataChannel's choices; raises Unreachable when there is no link.

        `priority` is its share of a crowded link: 128 below normal, 256 normal, 512 high, 1024 extra high (RFC 8831).
        """
        return await self._current().link.open_channel(
            label,
            ordered=ordered,
            max_retransmits=max_retransmits,
            max_lifetime_ms=max_lifetime_ms,
            priority=priority,
        )

    async def ping(self, timeout: float = 5.0) -> float:
        """The round-trip time to the peer's program in milliseconds; raises Unreachable.

        When the link ends meanwhile, the one that takes its place is asked.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        link = self._current()
        while True:
            try:
                return await self._ping(link, deadline - loop.time()) * 1000
            except LinkError:
                await self.wait_connected(deadline - loop.time())
            link = self._current()

    def send_datagram(self, data: bytes) -> None:
        """Send at most 1150 bytes that may get lost or overtaken; raises Unreachable when there is no link."""
        self._current().link.send_datagram(data)

    async def receive_datagram(self) -> bytes:
        """The next datagram from the peer."""
        return await self._datagrams.get()

    def _current(self) -> PeerLink:
        if self._link is None:
            raise self._unreachable()
        return self._link

    def _unreachable(self) -> Unreachable:
        return Unreachable(
            f"{self.name} is not connected", hint="is it running? `atmosphere peers` shows who can be reached"
        )

    # --- kept by the node -----------------------------------------------------------------------------------------

    @property
    def last_seen(self) -> list[Candidate]:
        """Where the present or the last link has looked for the member, best first: for as long as it has not said
        where it is, which takes a round trip after a join."""
        return self._last_seen if self._link is None else remotes_of(self._link.session)

    def attach(self, link: PeerLink) -> None:
        """`link` is the current one from now on."""
        self._link = link
        link.path.on_session = self.govern
        link.link.on_datagram = self._datagram_received
        self._linked.set()

    def govern(self, session: IceSession) -> None:
        """Hold a session with this member to its path policy, where it has one."""
        if self._path_policy is not None:
            session.set_policy(self._path_policy)

    def detach(self, link: PeerLink) -> bool:
        """`link` ended; whether it was the current one."""
        if self._link is not link:
            return False
        self._last_seen = remotes_of(link.session)
        self._link = None
        self._linked.clear()
        return True

    def moved(self, path: PathInfo | None, event: IceEvent | None) -> PathChanged:
        """The event for data that takes `path` now, because of what ICE said (None: there is a new link)."""
        previous, reason = self.history.moved(path, event, time.time())
        return PathChanged(self, path, previous, reason)

    def _datagram_received(self, data: bytes) -> None:
        if self._datagrams.full():
            self._datagrams.get_nowait()
        self._datagrams.put_nowait(data)


def remotes_of(session: IceSession) -> list[Candidate]:
    """The remote addresses that a session tried, best first, each once; also of one that is over."""
    found: dict[tuple[str, tuple[str, int]], Candidate] = {}
    for pair in session.report():
        found.setdefault((pair.remote.transport, pair.remote.endpoint), pair.remote)
    return list(found.values())[:MAX_LAST_SEEN]


def path_info(session: IceSession) -> PathInfo | None:
    """The session's path in the shape that is shown."""
    path = session.path
    if path is None:
        return None
    local, remote = (PathEndInfo(end.type, end.address, end.port) for end in (path.local, path.remote))
    return PathInfo(path.kind, path.protocol, path.family, local, remote)


def describe_path(path: PathInfo | None, rtt_ms: float | None) -> str:
    """A path in the words of a route line: `direct 203.0.113.9:7777 (12 ms)`."""
    if path is None:
        return "no path"
    took = "" if rtt_ms is None else f" ({rtt_ms:.0f} ms)"
    remote = f"[{path.remote.address}]" if path.family == 6 else path.remote.address
    if path.kind == "direct":
        over = " over TCP" if path.protocol == "tcp" else ""
        return f"direct {remote}:{path.remote.port}{over}{took}"
    relay = path.local.address if path.local.type == "relay" else path.remote.address
    return f"relayed via {relay}{took}"
