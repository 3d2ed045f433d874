"""Two members with NATs of their own between them, and a search that ends as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.events import PairReport
from atmosphere.ice.hardnat.allocation import UNKNOWN, PortAllocation
from atmosphere.ice.nat import Behaviour, NatBehaviour
from atmosphere.mesh import wire
from atmosphere.mesh.hardnat import HardNatSearches
from atmosphere.mesh.peerlink import PeerLink
from tests.ice.vnet import make_candidate
from tests.mesh.fakes import FakeSession

RELAYED, DIRECT = SimpleNamespace(kind="relay"), SimpleNamespace(kind="direct")


@dataclass
class View:
    """What an endpoint knows of its NAT."""

    behaviour: NatBehaviour
    public: tuple[str, int] | None
    allocation: PortAllocation = UNKNOWN
    base: Any = field(default_factory=lambda: SimpleNamespace(candidate=make_candidate("host", ("127.0.0.1", 7777))))
    servers: list[tuple[str, int]] = field(default_factory=lambda: [("192.0.2.1", 3478)])


class Endpoint:
    """As much of an endpoint as is asked."""

    def __init__(self, mapping: Behaviour, address: str | None) -> None:
        kind: Any = {"address-and-port-dependent": "symmetric", "unknown": "unknown"}.get(mapping, "full-cone")
        self.nat = View(NatBehaviour(mapping, type=kind), None if address is None else (address, 7777))

        self.lent: dict[str, set[int]] = {}

    async def gathered(self, timeout: float) -> None:
        return

    def lent_by(self, node_id: str) -> set[int]:
        return self.lent.get(node_id, set())

    @property
    def real(self) -> IceEndpoint:
        return cast("IceEndpoint", self)


class Link:
    """One end of a link; what it offers is handed to the other end's searches."""

    def __init__(self, peer_id: str, session: FakeSession) -> None:
        self.peer_id = peer_id
        self.session = session
        self.boot = b"12345678"
        self.remote_nat: NatBehaviour | None = None
        self.said: list[wire.Nat | wire.Punch] = []
        self.other: Link
        self.searches: HardNatSearches
        self.hears: Callable[[wire.Nat | wire.Punch], bool] = lambda message: True

    @property
    def real(self) -> PeerLink:
        return cast("PeerLink", self)

    def offer(self, message: wire.Nat | wire.Punch) -> None:
        wire.decode(wire.encode(message))
        self.said.append(message)
        if self.other.hears(message):
            asyncio.get_running_loop().call_soon(self.other.searches.handle, self.other.real, message)

    @property
    def punches(self) -> list[str]:
        return [message.what for message in self.said if isinstance(message, wire.Punch)]


def pairs(address: str, *, proven: bool = True) -> list[PairReport]:
    """The relayed pair in use, to the peer's public address or to its relay, and the direct one that failed."""
    local = make_candidate("relay", ("198.51.100.1", 50000))
    used = make_candidate("prflx" if proven else "relay", (address if proven else "198.51.100.1", 4000))
    direct = make_candidate("srflx", (address, 7777))
    return [
        PairReport(local, used, 1, "succeeded", True, True, 0.1, 1, ""),
        PairReport(local, direct, 2, "failed", False, False, None, 3, "no answer within 2 s"),
    ]


ADDRESSES = ("203.0.113.1", "203.0.113.2")


class Two:
    """Two members "a" and "b", connected over a relay."""

    def __init__(self, one: Behaviour, two: Behaviour, *, enabled: tuple[bool, bool] = (True, True)) -> None:
        self.endpoints = [Endpoint(one, ADDRESSES[0]), Endpoint(two, ADDRESSES[1])]
        sessions = [FakeSession(), FakeSession()]
        self.links = [Link("b", sessions[0]), Link("a", sessions[1])]
        self.searches = [
            HardNatSearches(own, endpoint.real, enabled=wanted)
            for own, endpoint, wanted in zip("ab", self.endpoints, enabled, strict=True)
        ]
        for link, other, searches, address in zip(
            self.links, reversed(self.links), self.searches, reversed(ADDRESSES), strict=True
        ):
            link.other, link.searches = other, searches
            link.session.path = RELAYED
            link.session.pairs = pairs(address)

    def link_up(self) -> None:
        for link, searches in zip(self.links, self.searches, strict=True):
            searches.linked(link.real)

    def become_direct(self) -> None:
        for link in self.links:
            link.session.path = DIRECT

    def findings(self) -> list[str | None]:
        return [self.searches[0].finding("b"), self.searches[1].finding("a")]

    async def close(self) -> None:
        for searches in self.searches:
            await searches.close()
