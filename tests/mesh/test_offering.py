"""A node that relays for other members: real nodes and sockets on loopback, which counts as the world here."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.channels.stream import Stream
from atmosphere.errors import AtmosphereError, LinkError, Refused, Unreachable
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.portmapping.model import MappedPort
from atmosphere.mesh import offering as offering_module
from atmosphere.mesh import reachability
from atmosphere.mesh.listeners import RelayQuota
from atmosphere.mesh.member_turn import MemberTurn
from atmosphere.mesh.node import Node
from atmosphere.mesh.offering import Offering
from atmosphere.mesh.peer import Peer
from atmosphere.turn.client import Allocation, TurnEndpoint
from tests.mesh.fakes import HOST, SRFLX
from tests.mesh.nodes import WAIT, Mesh, connected, until
from tests.mesh.people import EVE
from tests.until import until as soon

DATA = random.Random(1).randbytes(600_000)


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes believe that everybody can reach loopback."""
    monkeypatch.setattr(reachability, "EVERYWHERE", reachability.EVERYWHERE | {"loopback"})


def password(host: Node, client: Node) -> str:
    """What the client derives."""
    found = client._parts.relaying._users.own_password(host.id)
    assert found is not None
    return found


async def allocated(host: Node, username: str, secret: str, timeout: float = 5.0) -> Allocation:
    """A relayed address at a node, as any TURN client asks for it."""
    allocation = Allocation(TurnEndpoint(("127.0.0.1", host.port), "udp", username, secret))
    await allocation.open(timeout)
    return allocation


async def as_member(host: Node, client: Node) -> Allocation:
    return await allocated(host, client.id, password(host, client))


async def digest(stream: Stream) -> None:
    """Answer with the hash of everything that comes."""
    stream.write(hashlib.sha256(await stream.read()).digest())
    await stream.write_eof()


async def intact(peer: Peer) -> bool:
    """Whether 600 KB get there as they were; once more where a second link took the place of the first meanwhile."""
    async with asyncio.timeout(WAIT):
        while True:
            link = peer.link
            try:
                return await echoed(peer) == hashlib.sha256(DATA).digest()
            except LinkError:
                await soon(lambda: peer.link not in (None, link))  # noqa: B023 - awaited at once


async def echoed(peer: Peer) -> bytes:
    stream = await peer.open_stream("digest")
    stream.write(DATA)
    await stream.write_eof()
    return await stream.read()


def stats(node: Node) -> dict[str, float]:
    """The numbers of its TURN server."""
    turn = node._parts._turn
    assert turn is not None
    return turn.service.stats()


def kind(node: Node, name: str) -> Any:
    path = node.peer(name).info().path
    return path and path.kind


# --- who is offered what ----------------------------------------------------------------------------------------------


async def test_a_reachable_member_is_used_by_the_others(mesh: Mesh) -> None:
    alpha = await mesh.found()
    assert alpha.status().relay.uris == [f"turn:127.0.0.1:{alpha.port}"]
    beta = await mesh.join(alpha, "beta")
    await until(beta, lambda: any(one.startswith("relay ") for one in beta.status().candidates))
    await until(alpha, lambda: alpha.status().relay.allocations == 1)
    assert f"turn:127.0.0.1:{alpha.port}" in {server.uri for server in beta.status().servers if server.ok}
    # It is reachable itself, and so they relay for each other.
    await until(beta, lambda: beta.status().relay.allocations == 1)


async def test_no_relay_refuses(mesh: Mesh) -> None:
    alpha = await mesh.found(relay=False)
    beta = await mesh.join(alpha, "beta", relay=False)
    await connected(beta, "alpha")
    told = alpha.status().relay
    assert (told.offered, told.uris, told.reason) == (False, [], "--no-relay")
    with pytest.raises(Unreachable):
        await allocated(alpha, beta.id, password(alpha, beta), timeout=1.0)
    assert alpha._parts.listeners.endpoint.mux.dropped["method"] > 0
    await beta.stop()
    assert "no member offers its own" in alpha.explain(alpha.peer("beta")).relays[-1]


async def test_who_hides_its_addresses_does_not_relay(mesh: Mesh) -> None:
    alpha = await mesh.found(path_policy="relay")
    told = alpha.status().relay
    assert not told.offered
    assert "--path-policy relay" in (told.reason or "")


async def test_who_cannot_be_reached_does_not_offer(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "EVERYWHERE", frozenset[str]())
    alpha = await mesh.found()
    told = alpha.status().relay
    assert (told.offered, told.reason) == (False, "this node is not known to be reachable from outside")
    # Then something shows that it can be.
    monkeypatch.setattr(reachability, "EVERYWHERE", frozenset({"loopback"}))
    alpha._parts.offering.update()
    assert alpha.status().relay.offered


class FakeService:
    """Remembers where a TURN server was moved to, and what it forgot."""

    def __init__(self) -> None:
        self.moves: list[tuple[Any, Any]] = []
        self.forgotten: list[Any] = []
        self.allocations = 0
        self.forget = self.forgotten.append

    def move(self, addresses: Any, programs: Any) -> None:
        self.moves.append((addresses, programs))

    def stats(self) -> dict[str, float]:
        return {"turn_allocations": self.allocations}

    def datagrams(self, *_: Any) -> None:
        raise AssertionError("nothing comes")


async def test_a_place_comes_when_a_stranger_gets_in_and_goes_with_its_address() -> None:
    service, mux = FakeService(), SimpleNamespace(on_turn=None, on_reached=None)
    endpoint = SimpleNamespace(mux=mux, sockets=["socket"], candidates=[HOST, SRFLX], port_mappings=list)
    turn = SimpleNamespace(service=service, start=nothing, stop=nothing)
    changes: list[list[str]] = []
    offering = Offering(cast("MemberTurn", turn), None, cast("IceEndpoint", endpoint))
    offering.on_change = lambda: changes.append(offering.uris())
    # The world is private here, and what the router shows is in it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reachability, "EVERYWHERE", frozenset({"public"}))
        patch.setattr(reachability, "address_class", lambda address: "public" if address != HOST.address else "private")
        await offering.start()
        base = SimpleNamespace(candidate=HOST)
        for source in (HOST.address, "203.0.113.9", "203.0.113.9"):
            mux.on_reached(base, (source, 1))
        assert changes == [["turn:198.51.100.1:7777"]]
        assert mux.on_turn == service.datagrams
        endpoint.candidates, endpoint.sockets = [HOST], []
        offering.update()
        assert changes[1:] == [[]]
        assert mux.on_turn is None
    place = (SRFLX.address, SRFLX.port), (HOST.address, HOST.port)
    assert service.moves == [({HOST.address: SRFLX.address}, {place[0]: place[1]}), ({}, {})]
    assert service.forgotten == ["socket"]
    await offering.close()


@pytest.mark.parametrize(("transport", "verified", "offered"), [("udp", None, 1), ("udp", False, 0), ("tcp", True, 0)])
async def test_a_port_that_the_router_opened_is_a_place(transport: Any, verified: bool | None, offered: int) -> None:
    """Unless servers see us elsewhere; and the relay's clients come by UDP above all."""
    service, mux = FakeService(), SimpleNamespace(on_turn=None, on_reached=None)
    mapped = MappedPort(transport, HOST.endpoint, "192.0.2.254", "pcp", SRFLX.endpoint, 7200.0, verified)
    endpoint = SimpleNamespace(
        mux=mux,
        sockets=[],
        candidates=[SRFLX],
        port_mappings=lambda: [mapped, MappedPort("udp", HOST.endpoint, "192.0.2.254")],
    )
    turn = SimpleNamespace(service=service, start=nothing, stop=nothing)
    offering = Offering(cast("MemberTurn", turn), None, cast("IceEndpoint", endpoint))
    await offering.start()
    assert offering.uris() == ["turn:198.51.100.1:7777"] * offered
    await offering.close()


async def test_a_place_that_nobody_gets_into_is_offered_as_long_as_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    service, mux, now = FakeService(), SimpleNamespace(on_turn=None, on_reached=None), 0.0
    endpoint = SimpleNamespace(mux=mux, sockets=[], candidates=[HOST, SRFLX], port_mappings=list)
    turn = SimpleNamespace(service=service, start=nothing, stop=nothing)
    monkeypatch.setattr(reachability, "EVERYWHERE", frozenset({"public"}))
    monkeypatch.setattr(reachability, "address_class", lambda address: "public" if address != HOST.address else "")
    monkeypatch.setattr(offering_module, "time", SimpleNamespace(monotonic=lambda: now))
    offering = Offering(cast("MemberTurn", turn), None, cast("IceEndpoint", endpoint))
    await offering.start()
    mux.on_reached(SimpleNamespace(candidate=HOST), ("203.0.113.9", 1))
    service.allocations = 1
    for _ in range(3):
        now += 3000.0
        offering.update()
        assert offering.uris()
    service.allocations = 0
    now += reachability.SHOWN_FOR
    offering.update()
    assert offering.uris() == []
    mux.on_reached(SimpleNamespace(candidate=HOST), ("203.0.113.9", 1))
    assert offering.uris()
    await offering.close()


async def nothing() -> None:
    """Begin or end what is not there."""


# --- relaying ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def three(mesh: Mesh) -> AsyncIterator[tuple[Node, Node, Node]]:
    """alpha relays; beta and gamma use nothing but relays, and so nothing but alpha's."""
    alpha = await mesh.found()
    beta, gamma = await mesh.join(alpha, "beta", relay=False), await mesh.join(alpha, "gamma", relay=False)
    await connected(beta, "alpha", "gamma")
    await connected(gamma, "alpha", "beta")
    beta = await mesh.restart(beta, path_policy="relay", relay=False)
    gamma = await mesh.restart(gamma, path_policy="relay", relay=False)
    yield alpha, beta, gamma


async def test_two_members_meet_at_the_third(three: tuple[Node, Node, Node]) -> None:
    alpha, beta, gamma = three
    gamma.on_stream("digest", digest)
    [peer] = await connected(beta, "gamma")
    await until(beta, lambda: kind(beta, "gamma") == kind(gamma, "beta") == "relay")
    assert await intact(peer)
    told = alpha.status().relay
    assert told.allocations == 2
    assert told.bytes > 2 * len(DATA)
    # What two clients of one relay say to each other never leaves it.
    assert stats(alpha)["turn_bytes_inside_total"] > len(DATA)


async def test_the_relay_itself_is_reached_through_it(three: tuple[Node, Node, Node]) -> None:
    alpha, beta, _ = three
    alpha.on_stream("digest", digest)
    [peer] = await connected(beta, "alpha")
    await until(beta, lambda: kind(beta, "alpha") == "relay")
    assert await intact(peer)


async def test_a_removed_member_loses_what_it_has(three: tuple[Node, Node, Node]) -> None:
    alpha, beta, gamma = three
    await connected(beta, "alpha", "gamma")
    await until(alpha, lambda: alpha.status().relay.allocations == 2)
    secret = password(alpha, beta)
    await alpha.remove("beta")
    await until(alpha, lambda: alpha.status().relay.allocations == 1)
    with pytest.raises(Refused, match="wrong user name or password"):
        await allocated(alpha, beta.id, secret)
    await connected(gamma, "alpha")


# --- the hostile ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [EVE.node_id, "", "somebody", "x" * 500], ids=["a node", "empty", "a word", "long"])
async def test_a_stranger_gets_nothing(mesh: Mesh, name: str) -> None:
    alpha = await mesh.found()
    with pytest.raises(AtmosphereError):
        await allocated(alpha, name, "guessed")
    assert alpha.status().relay.allocations == 0


async def test_a_wrong_password_gets_nothing(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta", path_policy="direct")
    with pytest.raises(Refused):
        await allocated(alpha, beta.id, password(alpha, beta).swapcase())
    # Nor does one member with another one's name.
    gamma = await mesh.join(alpha, "gamma", path_policy="direct")
    with pytest.raises(Refused):
        await allocated(alpha, beta.id, password(alpha, gamma))
    assert alpha.status().relay.allocations == 0


async def test_one_members_flood_leaves_the_others_their_share(mesh: Mesh) -> None:
    alpha = await mesh.found(relay_quota=RelayQuota(allocations=64, allocations_of_one=4))
    beta = await mesh.join(alpha, "beta", path_policy="direct")
    gamma = await mesh.join(alpha, "gamma", path_policy="direct")
    made: list[Allocation] = []
    with pytest.raises(Refused, match="quota"):
        for _ in range(20):
            made += [await as_member(alpha, beta)]
    assert len(made) == 4
    made.append(await as_member(alpha, gamma))
    assert alpha.status().relay.allocations == 5
    for allocation in made:
        await allocation.close()
    await until(alpha, lambda: alpha.status().relay.allocations == 0)


async def test_nothing_else_on_this_machine_is_reached_through_it(mesh: Mesh, tmp_path: Path) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta", path_policy="direct")
    got: list[bytes] = []
    loop = asyncio.get_running_loop()

    class Victim(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            got.append(data)

    transport, _ = await loop.create_datagram_endpoint(Victim, local_addr=("127.0.0.1", 0))
    victim = transport.get_extra_info("sockname")
    allocation = await as_member(alpha, beta)
    allocation.send(b"secret", victim)
    await until(alpha, lambda: stats(alpha)["turn_dropped_nobody_total"])
    assert got == []
    await allocation.close()
    transport.close()
