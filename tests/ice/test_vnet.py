"""The network in memory does what its parts are called."""

from __future__ import annotations

import pytest

from tests.ice.vnet import STUN_SERVER, Address, Firewall, Nat, Network, Packet, Segment, agree, exchange, make_nodes
from tests.lab.translation import Allocation

SERVER, OTHER = ("203.0.113.50", 9), ("203.0.113.51", 9)
HOST = ("10.0.0.2", 7777)


class Host:
    """A host on a segment that keeps what arrives."""

    def __init__(self, segment: Segment, address: Address) -> None:
        self.address = address
        self.arrived: list[Packet] = []
        self._segment = segment
        segment.receivers[address[0]] = self.arrived.append

    def send(self, destination: Address, data: bytes = b"x") -> None:
        self._segment.route(Packet(self.address, destination, data))


def behind(nat: Nat) -> tuple[Host, Host, Host]:
    """A host inside, and two servers outside."""
    internet = nat.inside.network.internet
    return Host(nat.inside, HOST), Host(internet, SERVER), Host(internet, OTHER)


@pytest.mark.parametrize("allocation", ["preserved", "sequential", "random"])
def test_ports_are_allocated_as_said(allocation: Allocation) -> None:
    network = Network()
    nat = Nat(network.internet, "203.0.113.1", mapping="APD", allocation=allocation, step=1)
    host, *servers = behind(nat)
    for server in servers:
        host.send(server.address)
    network.run(1)
    first, second = (server.arrived[0].source[1] for server in servers)
    assert (first == 7777) is (allocation == "preserved")
    assert (second - first == 1) is (allocation != "random")


def test_a_silent_mapping_times_out() -> None:
    network = Network()
    host, server, _ = behind(Nat(network.internet, "203.0.113.1", timeout=30.0))
    host.send(SERVER)
    network.run(29)
    server.send(server.arrived[0].source)
    network.run(29)
    server.send(server.arrived[0].source)
    network.run(31)
    server.send(server.arrived[0].source)
    network.run(1)
    assert len(host.arrived) == 2
    host.send(SERVER)
    network.run(1)
    assert server.arrived[1].source != server.arrived[0].source


def test_long_packets_vanish() -> None:
    network = Network(mtu=1280)
    one, other = Host(network.internet, SERVER), Host(network.internet, OTHER)
    six, seven = Host(network.internet, ("2001:db8::6", 1)), Host(network.internet, ("2001:db8::7", 1))
    for length in (1280 - 28, 1281 - 28):
        one.send(OTHER, bytes(length))
    for length in (1280 - 48, 1281 - 48):
        six.send(seven.address, bytes(length))
    network.run(1)
    assert [len(packet.data) for packet in other.arrived] == [1280 - 28]
    assert [len(packet.data) for packet in seven.arrived] == [1280 - 48]


def test_a_firewall_lets_in_what_was_asked_for() -> None:
    network = Network()
    wall = Firewall(network.internet, "2001:db8:1:")
    host, outside = Host(wall.inside, ("2001:db8:1::2", 1)), Host(network.internet, ("2001:db8::9", 1))
    outside.send(host.address)
    network.run(1)
    assert host.arrived == []
    host.send(outside.address)
    outside.send(host.address)
    outside.send(("2001:db8:1::3", 1))
    network.run(1)
    assert [packet.source for packet in outside.arrived] == [host.address]
    assert [packet.source for packet in host.arrived] == [outside.address]
    assert wall.seen_as(host.address, STUN_SERVER) == host.address


def test_ipv6_goes_where_two_symmetric_nats_are() -> None:
    network = Network()
    nodes = make_nodes(network)
    for number, node in enumerate(nodes, 1):
        nat = Nat(network.internet, f"203.0.113.{number}", mapping="APD", allocation="random")
        node.add_host(nat.inside, f"10.0.{number}.2")
        node.add_host(Firewall(network.internet, f"2001:db8:{number}:").inside, f"2001:db8:{number}::2")
    exchange(*nodes)
    assert network.run(3, lambda: agree(*nodes))
    assert nodes[0].path == (("2001:db8:1::2", 7777), ("2001:db8:2::2", 7777))
