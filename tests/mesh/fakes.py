"""Stand-ins for what the parts of a node hang on: sessions over a path in memory, rosters, scripted links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from atmosphere.errors import LinkError, Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.session import IceSession
from atmosphere.identity import Identity
from atmosphere.joincode import JoinCode
from atmosphere.mesh import wire
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.store import Home, init_home
from tests.channels.pipe import End, Weather

HOST = Candidate.from_sdp("f 1 udp 2113937151 192.0.2.1 7777 typ host")
SRFLX = Candidate.from_sdp("g 1 udp 1677729535 198.51.100.1 7777 typ srflx raddr 192.0.2.1 rport 7777")
TCP = Candidate.from_sdp("i 1 tcp 1518280447 192.0.2.1 7777 typ host tcptype passive")
RELAY = Candidate.from_sdp("h 1 udp 33562367 203.0.113.1 50000 typ relay raddr 192.0.2.1 rport 7777")


class FakeSession(End):
    """An ICE session whose path is always there, or as the test says."""

    def __init__(self, ufrag: str = "dialer") -> None:
        super().__init__(Weather(), 1)
        self.state = "connected"
        self.dialer_ufrag = self.remote_ufrag = ufrag
        self.local_ufrag = "host"
        self.on_event: Callable[[Any], None] | None = None
        self.remotes: list[Candidate] = []
        self.ahead: list[bytes] = []
        self.pairs: list[Any] = []
        self.path: Any = None
        self.rtt_ms = self.jitter_ms = self.loss = None
        self.policy: str | None = None
        self.closed = asyncio.Event()
        self.kin: Any = None
        self.selected: Any = None

    async def connected(self, timeout: float | None = None) -> None:
        if self.state != "connected":
            raise Unreachable("no path")

    async def approached(self, timeout: float | None = None) -> None:
        """Nothing comes ahead here."""
        await self.connected(timeout)

    def send_ahead(self, datagram: bytes) -> None:
        self.ahead.append(datagram)

    def add_remote(self, candidate: Candidate) -> None:
        self.remotes.append(candidate)

    def set_policy(self, policy: str) -> None:
        self.policy = policy

    def report(self) -> list[Any]:
        return self.pairs

    def close(self) -> None:
        self.state = "closed"
        self.closed.set()

    def keep(self) -> None:
        """As a path that is kept."""

    @property
    def real(self) -> IceSession:
        return cast("IceSession", self)


def sessions() -> tuple[FakeSession, FakeSession]:
    """The two ends of a path."""
    one, other = FakeSession(), FakeSession()
    one.peer, other.peer = other, one
    return one, other


ALICE, BOB = Identity.generate(), Identity.generate()


@asynccontextmanager
async def linked(dialer: Identity = ALICE, host: Identity = BOB) -> AsyncIterator[tuple[PeerLink, PeerLink]]:
    """Two ends of a real link, open but not greeted, over a path in memory."""
    one, other = sessions()
    ends = PeerLink(one.real, dialer, dialed=True), PeerLink(other.real, host, dialed=False)
    await asyncio.gather(*(end.open(10) for end in ends))
    try:
        yield ends
    finally:
        for end in ends:
            await end.close("the test is over", say=False)


class FakeLink:
    """A PeerLink that hears what the test scripts and remembers what is said."""

    def __init__(self, peer: Identity = BOB, *words: wire.Message) -> None:
        self.remote_nat = None
        self.peer_id = peer.node_id
        self.session = FakeSession()
        self.path: Any = self.session
        self.link = self
        self.established = True
        self.peer_public_key = peer.public_key
        self.boot = b""
        self.version: str | None = None
        self.connected_at: float | None = None
        self.alive = True
        self.dialed = True
        self.invited = False
        self.said: list[wire.Message] = []
        self.offered: list[wire.Message] = []
        self.words = list(words)
        self.closed_because: str | None = None

    async def receive(self) -> wire.Message:
        if not self.words:
            raise LinkError("the script is over")
        return self.words.pop(0)

    def post(self, message: wire.Message) -> None:
        self.said.append(message)

    def offer(self, message: wire.Message) -> None:
        self.offered.append(message)

    def exporter(self, label: bytes, length: int) -> bytes:
        return bytes(length)

    async def close(self, reason: str, *, say: bool = True) -> None:
        self.closed_because = reason

    @property
    def real(self) -> PeerLink:
        return cast("PeerLink", self)


def founder(folder: Path, name: str = "alpha") -> tuple[Home, Roster]:
    """A mesh's founder."""
    home = init_home(folder / name, "home", name)
    return home, Roster(home)


def member(folder: Path, name: str, host: Roster, role: Any = "member") -> tuple[Home, Roster]:
    """A member that the host made, and that knows what the host knows; the host does not hear of it in other ways."""
    home = Home.init_identity_only(folder / name, name)
    host.issue(home.identity.public_key, name, role)
    roster = Roster(home)
    roster.adopt(code_of(host), granted(host, home.identity), name)
    return home, roster


def code_of(host: Roster, **changes: Any) -> JoinCode:
    """A join code of that host, never given out."""
    fields: dict[str, Any] = {
        "mesh_id": host.mesh_id_bytes,
        "host_id": host.own_id,
        "secret": bytes(16),
        "mesh_name": "home",
        "expires_at": 0,
        "candidates": (),
        "signaling": (),
    }
    return JoinCode(**fields | changes)


def granted(host: Roster, joiner: Identity) -> wire.Granted:
    """What the host grants a joiner that it made a member."""
    chain = list(dict.fromkeys((*host.own_chain(), *host.chain_of(joiner.node_id))))
    return wire.Granted("home", host.root_public_key, chain)


def hello(roster: Roster, boot: bytes = bytes(8)) -> wire.Hello:
    return wire.Hello(wire.PROTOCOL, roster.mesh_id, boot, "0.1", roster.own_chain())
