"""A node that only remembers what it was asked, and the control socket around it in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atmosphere.cli.control.server import ControlServer
from atmosphere.cli.daemon.handlers import Handlers
from atmosphere.cli.daemon.options import NodeOptions
from atmosphere.errors import AtmosphereError, UnknownPeer, Unreachable
from atmosphere.mesh.info import (
    ChangeInfo,
    Explanation,
    InviteInfo,
    NodeInfo,
    NodeStatus,
    PairInfo,
    PathEndInfo,
    PathInfo,
    PeerInfo,
    RelayInfo,
    ServerInfo,
    SideInfo,
)

DIRECT = PathInfo("direct", "udp", 4, PathEndInfo("host", "192.0.2.1", 7777), PathEndInfo("srflx", "203.0.113.9", 7777))
RELAYED = PathInfo(
    "relay", "tcp", 4, PathEndInfo("relay", "198.51.100.7", 50000), PathEndInfo("srflx", "203.0.113.9", 7777)
)

SYMMETRIC = SideInfo("address-and-port-dependent", "unknown", "symmetric", "symmetric NAT", "any", True, "off")
STRICT = SideInfo("endpoint-independent", "unknown", "port-restricted-cone", "port-restricted NAT", "any", True, "none")
EXPLANATION = Explanation(
    "symmetric-here",
    "Your router changes ports for each peer.",
    "Forward UDP port 7777 on the router of phone.",
    SYMMETRIC,
    STRICT,
    [
        PairInfo(
            "no answer", 3, False, PathEndInfo("host", "192.0.2.1", 7777), PathEndInfo("srflx", "203.0.113.9", 7777)
        )
    ],
    ["relay turn:198.51.100.7:3478: ok"],
)


@dataclass
class FakeCandidate:
    type: str = "host"
    address: str = "192.0.2.1"
    port: int = 7777
    protocol: str = "udp"


@dataclass
class FakeCode:
    expires_at: int
    candidates: tuple[FakeCandidate, ...] = (FakeCandidate(),)

    def __str__(self) -> str:
        return "atm1-abcd-efgh"


class FakePeer:
    """Answers pings with the times in `pongs`, None being silence; its path becomes direct with the last."""

    def __init__(self, node_id: str, name: str, pongs: tuple[float | None, ...] = (12.0,)) -> None:
        self.id = node_id
        self.name = name
        self.pongs = list(pongs)
        self.path: PathInfo | None = RELAYED if len(pongs) > 1 else DIRECT
        self.change = ChangeInfo(1e9, "direct works")

    def info(self) -> PeerInfo:
        return PeerInfo(
            *(self.id, self.name, "connected", "member", self.path, 12.0, 1.0, 0.0, 1000, 2_500_000, 1e9, "0.1"),
            path_since=self.change.at,
            last_change=self.change,
        )

    async def ping(self, timeout: float = 5.0) -> float:
        if len(self.pongs) == 1:
            self.path = DIRECT
        answer = self.pongs.pop(0) if len(self.pongs) > 1 else self.pongs[0]
        if answer is None:
            raise Unreachable("silence")
        return answer

    async def wait_connected(self, timeout: float | None = None) -> None:
        return None

    async def open_stream(self, name: str) -> Any:
        raise Unreachable(f"{self.name} is not connected")


class FakeManual:
    reply = "atr1-reply"

    def __init__(self, peer: FakePeer) -> None:
        self._peer = peer

    async def wait(self) -> FakePeer:
        return self._peer


class FakeNode:
    """Fits NodeFace. `fails` is raised by whatever is asked next of it."""

    def __init__(self, home: Path | None = None, options: NodeOptions | None = None) -> None:
        self.id, self.name = "n" * 52, "laptop"
        self.mesh_id, self.mesh_name = "ab" * 20, "home"
        self.members = [FakePeer("b" * 52, "desk"), FakePeer("c" * 52, "phone", (None, 41.0, 12.0))]
        self.asked: list[tuple[Any, ...]] = []
        self.fails: AtmosphereError | None = None
        self.hangs = False
        self.ending = False
        self.cancelled = threading.Event()
        self.ready = True
        self.role = "admin"
        self.explanation = EXPLANATION
        self.moved: asyncio.Queue[Any] | None = None
        self.outstanding = [InviteInfo("aa11", 1, 0, 4e9, 1e9), InviteInfo("ab22", 5, 2, 4e9, 1e9)]

    def _ask(self, *what: Any) -> None:
        self.asked.append(what)
        if self.fails is not None:
            raise self.fails

    async def start(self) -> None:
        self._ask("start")

    async def stop(self) -> None:
        self._ask("stop")

    async def invite(self, uses: int = 1, expires: float = 3600.0) -> FakeCode:
        self._ask("invite", uses, expires)
        return FakeCode(2_000_000_000)

    def invites(self) -> list[InviteInfo]:
        self._ask("invites")
        return self.outstanding

    def revoke_invite(self, invite_id: str) -> None:
        self._ask("revoke", invite_id)

    async def join(
        self,
        code: Any,
        *,
        name: str | None = None,
        progress: Callable[[str], None] | None = None,
        timeout: float = 30.0,
    ) -> FakePeer:
        self._ask("join", str(code), name)
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        assert progress is not None
        progress("signalling")
        progress("relayed via 198.51.100.7 (41 ms)")
        progress("direct 203.0.113.9:7777 (12 ms)")
        return self.members[0]

    async def join_manual(self, code: Any, *, name: str | None = None) -> FakeManual:
        self._ask("join_manual", str(code))
        return FakeManual(self.members[0])

    async def accept(self, reply: str) -> FakePeer:
        self._ask("accept", reply)
        return self.members[0]

    def peers(self) -> list[FakePeer]:
        self._ask("peers")
        return self.members

    def peer(self, text: str) -> FakePeer:
        self._ask("peer", text)
        found = [peer for peer in self.members if peer.name == text or peer.id.startswith(text)]
        if len(found) != 1:
            raise UnknownPeer(f"no member is called {text}; there are desk and phone", hint="atmosphere peers")
        return found[0]

    def explain(self, peer: FakePeer) -> Explanation:
        return self.explanation

    async def remove(self, peer: FakePeer) -> None:
        self._ask("remove", peer.name)

    async def promote(self, peer: FakePeer) -> None:
        self._ask("promote", peer.name)

    async def leave(self) -> None:
        self._ask("leave")

    def status(self) -> NodeStatus:
        self._ask("status")
        servers = [
            ServerInfo("stun:198.51.100.7:3478", True, 12.0),
            ServerInfo("turn:example.org", False, None, "silence"),
        ]
        return NodeStatus(
            NodeInfo(self.id, self.name),
            NodeInfo(self.mesh_id, self.mesh_name),
            self.role,
            "0.1.0",
            7777,
            ["192.0.2.1:7777"],
            ["host 192.0.2.1:7777"],
            servers,
            {"connected": 2},
            3700.0,
            self.ready,
            RelayInfo(True, ["turn:203.0.113.9:7777"], 2, 12_400_000),
            network=SYMMETRIC,
        )

    async def events(self) -> AsyncIterator[Any]:
        yield "something"
        while self.moved is not None:
            yield await self.moved.get()
        if not self.ending:
            await asyncio.Event().wait()

    def on_stream(self, name: str, handler: Callable[[Any], Awaitable[None]]) -> None:
        self._ask("on_stream", name)


class FakeLife:
    """The process around a fake node: it only remembers that it was to stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()

    def stop(self) -> None:
        self.stopping.set()

    async def stopped(self) -> None:
        return None


@contextmanager
def running(home: Path, node: FakeNode, life: FakeLife, options: NodeOptions | None = None) -> Iterator[None]:
    """The control socket of `home`, answered by `node` from a thread of its own while this lasts."""
    up, loops = threading.Event(), []
    ended: list[asyncio.Event] = []

    async def main() -> None:
        server = ControlServer(home, Handlers(node, options or NodeOptions(), life))
        await server.start()
        loops.append(asyncio.get_running_loop())
        ended.append(asyncio.Event())
        up.set()
        await ended[0].wait()
        await server.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert up.wait(5)
        yield
    finally:
        loops[0].call_soon_threadsafe(ended[0].set)
        thread.join(5)
