"""Which of several paths is used: the order of preference, round trips without flapping, policies that change."""

from __future__ import annotations

import random

import pytest

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import PathLost, PathSelected
from atmosphere.ice.pair import CandidatePair, PathClass
from atmosphere.ice.policy import PathPolicy
from tests.ice.vnet import Network, Node, Packet, agree, exchange, make_candidate, make_nodes, talk
from tests.support import seeds

V4 = ("203.0.113.1", "203.0.113.2")
V6 = ("2001:db8::1", "2001:db8::2")
WIFI = ("203.0.113.101", "203.0.113.102")


def is_relayed(node: Node) -> bool:
    return node.agent.selected is not None and node.agent.selected.is_relayed


def both_hosts(network: Network, addresses: tuple[tuple[str, str], ...], *, relays: bool = False) -> tuple[Node, Node]:
    """Two nodes with these addresses each, the best first, not connected yet."""
    nodes = make_nodes(network)
    for side, node in enumerate(nodes):
        for order, pair in enumerate(addresses):
            node.add_host(network.internet, pair[side], preference=65535 - 500 * order)
        if relays:
            node.add_relay()
    exchange(*nodes)
    return nodes


def test_the_classes_are_direct_udp_direct_tcp_relay_whatever_the_priorities_say() -> None:
    udp = make_candidate("prflx", ("203.0.113.1", 1), preference=1)
    tcp = Candidate("f", 1, "tcp", (1 << 31) - 1, "203.0.113.1", 1, "host")
    relay = Candidate("f", 1, "udp", (1 << 31) - 1, "198.51.100.2", 1, "relay", relay_protocol="tcp")
    pairs = [CandidatePair(base=1, base_candidate=one, remote=one, local=one, due_at=0.0) for one in (udp, tcp, relay)]
    assert [pair.path_class for pair in pairs] == [PathClass.DIRECT_UDP, PathClass.DIRECT_TCP, PathClass.RELAYED]
    for controlling in (True, False):
        assert sorted(pairs, key=lambda pair: pair.rank(controlling), reverse=True) == pairs


@pytest.mark.parametrize("seed", range(5))
def test_ipv6_before_ipv4_before_relay_on_a_tie(seed: int) -> None:
    network = Network(seed=seed, latency=0.02)
    network.delay = lambda packet: network.random.random() * 0.004
    a, b = both_hosts(network, (V6, V4), relays=True)
    assert network.run(3, lambda: agree(a, b))
    network.run(300)
    assert agree(a, b)
    assert a.path == ((V6[0], 7777), (V6[1], 7777))
    assert len(a.events(PathSelected)) <= 2


def test_a_clearly_shorter_way_is_moved_to_and_stayed_on() -> None:
    network = Network(latency=0.02)
    network.delay = lambda packet: 0.1 if packet.source[0] in V4 else 0.0
    a, b = both_hosts(network, (V4, WIFI))
    network.drops.append(lambda packet: packet.source[0] in WIFI)
    assert network.run(3, lambda: agree(a, b))
    assert a.path == ((V4[0], 7777), (V4[1], 7777))
    network.drops.clear()
    network.run(60)
    assert agree(a, b)
    assert a.path is not None
    assert a.path[0][0] in WIFI
    network.run(600)
    assert len(a.events(PathSelected)) <= 3


@pytest.mark.parametrize("seed", seeds(2, 8))
def test_ways_that_are_about_as_long_do_not_take_turns(seed: int) -> None:
    """Any two lengths, any jitter, idle or not: after the first minutes hardly anything moves any more."""
    chance = random.Random(seed)
    base = {V4[0]: chance.uniform(0, 0.2), WIFI[0]: chance.uniform(0, 0.2)}
    jitter = chance.uniform(0, 0.1)
    network = Network(seed=seed, latency=0.005)

    def delay(packet: Packet) -> float:
        way = base.get(packet.source[0], base.get(packet.destination[0], 0.1))
        return way + network.random.random() * jitter

    network.delay = delay
    a, b = both_hosts(network, (V4, WIFI))
    assert network.run(5, lambda: agree(a, b))
    if chance.random() < 0.5:
        talk(a, b)
    network.run(300)
    before = len(a.events(PathSelected))
    network.run(1200)
    assert len(a.events(PathSelected)) - before <= 3
    assert agree(a, b)


def test_relays_are_compared_by_round_trip_too() -> None:
    network = Network(latency=0.02)
    a, b = make_nodes(network)
    slow, _ = a.add_relay(), a.add_relay(preference=60000)
    ports = [candidate.port for candidate in a.candidates]
    network.delay = lambda packet: 0.1 if ports[0] in (packet.source[1], packet.destination[1]) else 0.0
    b.add_host(network.internet, V4[1])
    exchange(a, b)
    assert network.run(3, lambda: agree(a, b))
    network.run(60)
    assert agree(a, b)
    assert a.agent.selected is not None
    assert a.agent.selected.base != slow


# A policy that changes


def connected(network: Network, policy: PathPolicy = "any") -> tuple[Node, Node]:
    nodes = make_nodes(network, policy=policy)
    for node, address in zip(nodes, V4, strict=True):
        node.add_host(network.internet, address)
        node.add_relay()
    exchange(*nodes)
    assert network.run(3, lambda: agree(*nodes))
    network.run(10)
    return nodes


def choose(node: Node, policy: PathPolicy) -> None:
    node.agent.set_policy(policy, node.network.now)
    node.drain()


@pytest.mark.parametrize("chooser", [0, 1])
def test_a_path_that_is_forbidden_is_left_for_another_without_a_gap(chooser: int) -> None:
    network = Network()
    nodes = connected(network)
    assert not is_relayed(nodes[0])
    node = nodes[chooser]
    choose(node, "relay")
    assert node.agent.selected is not None
    assert node.agent.selected.base_candidate.is_relayed
    network.run(60)
    assert agree(*nodes)
    assert node.agent.selected.base_candidate.is_relayed
    assert not node.events(PathLost)
    assert {report.why for report in node.agent.report() if not report.local.is_relayed} == {"the path policy is relay"}
    choose(node, "direct")
    assert network.run(30, lambda: agree(*nodes) and not is_relayed(node))
    assert not node.events(PathLost), "made before it was broken"
    choose(node, "any")
    network.run(30)
    assert agree(*nodes)
    assert not is_relayed(node)


@pytest.mark.parametrize("chooser", [0, 1])
def test_without_another_way_the_forbidden_one_is_left_after_a_while(chooser: int) -> None:
    network = Network()
    nodes = make_nodes(network)
    for node, address in zip(nodes, V4, strict=True):
        node.add_host(network.internet, address)
    exchange(*nodes)
    assert network.run(3, lambda: agree(*nodes))
    node = nodes[chooser]
    choose(node, "relay")
    began = network.now
    assert network.run(10, lambda: node.state == "disconnected")
    assert network.now - began == pytest.approx(5.0)
    assert node.agent.selected is None
    choose(node, "any")
    assert network.run(3, lambda: agree(*nodes))


@pytest.mark.parametrize("controlling", [True, False])
def test_direct_only_meets_relay_first(controlling: bool) -> None:
    """The relayed pair that answers first is none to a node that wants none."""
    network = Network()
    a, b = make_nodes(network, roles=(controlling, not controlling))
    a.agent.set_policy("direct", network.now)
    for node, address in zip((a, b), V4, strict=True):
        node.add_host(network.internet, address)
        node.add_relay()
    exchange(a, b)
    assert network.run(3, lambda: agree(a, b))
    network.run(30)
    assert not is_relayed(a)
    assert not is_relayed(b)
    assert all(not report.relayed for report in a.agent.report())


def test_the_same_policy_again_and_one_after_the_end_change_nothing() -> None:
    network = Network()
    a, _ = connected(network)
    reports = a.agent.report()
    choose(a, "any")
    assert a.agent.report() == reports
    a.agent.close()
    choose(a, "relay")
    assert a.state == "closed"
