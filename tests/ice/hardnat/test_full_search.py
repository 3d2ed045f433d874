"""A search with everything but sockets: agents, relays and NATs in memory, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from atmosphere.ice.hardnat.allocation import allocation_of, port_after
from atmosphere.ice.hardnat.plan import FAN, Side
from atmosphere.ice.hardnat.ports import search_order
from atmosphere.ice.hardnat.search import Search, Shot
from atmosphere.ice.hardnat.targets import is_needed, trust
from atmosphere.stun.message import Class, decode, encode
from tests.ice.hardnat.simulation import EASY, HARD, make_plan, random_ports, search_of, sequential_ports
from tests.ice.vnet import STUN_SERVER, Address, Nat, Network, Node, Packet, agree, exchange, make_candidate, make_nodes

PORT, FIRST_EXTRA = 7777, 40000


class Searching:
    """One node, its NAT, and what an endpoint does for a search: more sockets, of which one becomes a base."""

    def __init__(self, network: Network, node: Node, number: int, nat: Nat) -> None:
        self.network, self.node, self.nat = network, node, nat
        self.host = f"10.0.{number}.2"
        self.base = node.add_host(nat.inside, self.host)
        node.add_relay()
        self.adopted: dict[int, int] = {}
        self.search: Search
        nat.inside.receivers[self.host] = self.receive

    @property
    def public(self) -> Address:
        return self.nat.seen_as((self.host, PORT), STUN_SERVER)

    def sample(self) -> list[tuple[int, int]]:
        ports = range(30000, 30006)
        return [(port, self.nat.seen_as((self.host, port), STUN_SERVER)[1]) for port in ports]

    def start(self, search: Search) -> None:
        self.search = search
        check = self.node.agent.check_from(make_candidate("host", (self.host, PORT)))
        assert check is not None
        self.asked, self.check = check.transaction_id, encode(check)
        self.tick()

    def tick(self) -> None:
        if self.node.agent.selected is not None and not self.node.agent.selected.is_relayed:
            self.search.found(self.network.now)
        self.search.handle_timer(self.network.now)
        for shot in self.search.shots():
            self.send(shot)
        deadline = self.search.deadline()
        if deadline is not None:
            self.network.at(deadline, self.tick)

    def send(self, shot: Shot) -> None:
        here = (self.host, PORT if shot.socket is None else FIRST_EXTRA + shot.socket)
        if shot.ttl is None:
            self.nat.inside.route(Packet(here, shot.destination, self.check))
        else:
            self.nat.seen_as(here, shot.destination)  # it opens the NAT, and arrives nowhere

    def receive(self, packet: Packet) -> None:
        port = packet.destination[1]
        if port == PORT:
            self.node.receive(packet.data, self.base, packet.source)
        elif port in self.adopted:
            self.node.receive(packet.data, self.adopted[port], packet.source)
        elif port >= FIRST_EXTRA and not self.adopted and self.is_remotes(packet.data):
            self.adopt(port)
            self.search.found(self.network.now, port - FIRST_EXTRA)
            self.node.receive(packet.data, self.adopted[port], packet.source)

    def is_remotes(self, data: bytes) -> bool:
        message = decode(data)
        is_ours = message.message_class is Class.REQUEST or message.transaction_id == self.asked
        return is_ours and self.node.agent.is_remotes(message)

    def adopt(self, port: int) -> None:
        here = (self.host, port)
        base = self.adopted[port] = 100 + port
        self.node._senders[base] = lambda data, there: self.nat.inside.route(Packet(here, there, data))
        self.node.learn(make_candidate("host", here, preference=0), base)


def nat(network: Network, number: int, ports: Iterator[int] | None) -> Nat:
    """A port-restricted NAT, or (with an allocator) one that maps every destination anew."""
    made = Nat(network.internet, f"203.0.113.{number}", mapping="EI" if ports is None else "APD", filtering="APD")
    if ports is not None:
        made._ports = ports  # type: ignore[assignment]
    return made


def relayed(network: Network, *ports: Iterator[int] | None) -> tuple[Searching, Searching]:
    """Two nodes whose plain checks have failed, connected over their relays."""
    one, other = make_nodes(network)
    a, b = (Searching(network, node, i + 1, nat(network, i + 1, ports[i])) for i, node in enumerate((one, other)))
    exchange(one, other)
    assert network.run(2, lambda: agree(one, other))
    network.run(4)
    for node in (one, other):
        assert is_needed(node.agent.report())
    return a, b


def is_direct(a: Searching, b: Searching) -> bool:
    selected = a.node.agent.selected
    return agree(a.node, b.node) and selected is not None and not selected.is_relayed


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(6))
def test_random_ports_and_a_port_restricted_nat(seed: int, loss: float) -> None:
    network, rng = Network(seed=seed, latency=0.04, loss=loss), Random(seed)
    hard, easy = relayed(network, random_ports(rng), None)
    given = hard.sample()
    side = Side(HARD, allocation_of(given))
    assert trust("203.0.113.1", easy.node.agent.report()) == "proven"
    assert trust("203.0.113.2", hard.node.agent.report()) in ("proven", "named")
    hard.start(search_of(make_plan(side, EASY), easy.public[1], network.now, iter(()), "203.0.113.2"))
    order = search_order(side.allocation, [public for _, public in given], rng)
    easy.start(search_of(make_plan(EASY, side), 0, network.now + 0.08, order, "203.0.113.1"))
    assert network.run(25, lambda: is_direct(hard, easy))
    assert network.run(1, lambda: easy.search.outcome is not None)
    assert hard.search.outcome is not None
    assert hard.search.outcome.how == "found"
    network.run(60)
    assert is_direct(hard, easy)


@pytest.mark.parametrize("seed", range(4))
def test_two_sequential_nats(seed: int) -> None:
    network, rng = Network(seed=seed, latency=0.04), Random(seed)
    sides = relayed(network, sequential_ports(rng), sequential_ports(rng, 2))
    known = [Side(HARD, allocation_of(side.sample())) for side in sides]
    for this, ours, theirs, address in zip(sides, known, reversed(known), ("203.0.113.2", "203.0.113.1"), strict=True):
        target = port_after(theirs.allocation.last_port, theirs.allocation.step * FAN // 2)
        this.start(search_of(make_plan(ours, theirs), target, network.now, iter(()), address))
    assert network.run(5, lambda: is_direct(*sides))
    network.run(60)
    assert is_direct(*sides)
