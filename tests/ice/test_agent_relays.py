"""Several relays on each side: which one is used, and what happens when one stops, as UDP being blocked does."""

from __future__ import annotations

import pytest

from atmosphere.ice.events import PathLost
from tests.ice.vnet import RELAY, Nat, Network, Node, Packet, agree, exchange, make_nodes, talk

UDP, WEBSOCKET = 5 << 13, 2 << 13
"""Local preferences as `relay_base` gives them."""


class Blocked:
    """A side whose UDP is blocked: nothing gets through its NAT, and nothing to its relay over UDP."""

    def __init__(self, network: Network) -> None:
        self.ends: set[tuple[str, int]] = set()
        network.drops.append(self)

    def __call__(self, packet: Packet) -> bool:
        return any(end in self.ends or (end[0], 0) in self.ends for end in (packet.source, packet.destination))

    def block(self, side: Side) -> None:
        self.ends = {(side.address, 0), (RELAY, side.udp)}


class Side:
    """A node behind a symmetric NAT with a UDP relay and, perhaps, one over WebSocket."""

    def __init__(self, network: Network, node: Node, number: int, *, websocket: bool = True) -> None:
        self.node = node
        self.address = f"203.0.113.{number}"
        nat = Nat(network.internet, self.address, mapping="APD")
        node.add_host(nat.inside, f"192.168.{number}.2")
        self.udp_base, self.udp = node.add_relay(preference=UDP), self.last_port
        self.websocket = 0
        if websocket:
            node.add_relay(preference=WEBSOCKET)
            self.websocket = self.last_port

    @property
    def last_port(self) -> int:
        return self.node.candidates[-1].port

    @property
    def uses(self) -> int:
        """The port of our relay that the path goes over; 0 for none of ours."""
        pair = self.node.agent.selected
        assert pair is not None
        return pair.base_candidate.port if pair.base_candidate.is_relayed else 0


def connected(network: Network, *, controlling: bool, both: bool) -> tuple[Side, Side]:
    """Two sides, connected over UDP relays for half a minute; the first has WebSocket, the second only with `both`."""
    a, b = make_nodes(network, roles=(controlling, not controlling))
    sides = Side(network, a, 1), Side(network, b, 2, websocket=both)
    exchange(a, b)
    assert network.run(3, lambda: agree(a, b))
    network.run(30)
    assert agree(a, b)
    assert {side.uses for side in sides} <= {side.udp for side in sides} | {0}
    return sides


@pytest.mark.parametrize("controlling", [True, False])
@pytest.mark.parametrize("both", [True, False])
def test_udp_is_blocked_and_opened_again(controlling: bool, both: bool) -> None:
    network = Network()
    side, other = connected(network, controlling=controlling, both=both)
    blocked = Blocked(network)
    talk(side.node, other.node)
    blocked.block(side)
    died = network.now
    assert network.run(6, lambda: agree(side.node, other.node) and side.uses == side.websocket)
    assert network.now - died <= 3.2
    side.node.send(b"over WebSocket")
    network.run(0.2)
    assert b"over WebSocket" in other.node.data

    side.node.remove_base(side.udp_base)  # the server has not answered for long, and its allocation is given up
    network.run(60)
    assert agree(side.node, other.node)
    assert side.uses == side.websocket
    blocked.ends.clear()
    side.node.add_relay(preference=UDP)
    other.node.hear_of(side.node.candidates[-1])
    assert network.run(3, lambda: agree(side.node, other.node) and side.uses != side.websocket)
    assert not side.node.events(PathLost)


def test_a_relay_that_answers_late_is_what_a_link_without_udp_waits_for() -> None:
    """The first connection: UDP is blocked from the beginning, and WebSocket takes its handshakes."""
    network = Network()
    a, b = make_nodes(network)
    Blocked(network).ends = {("203.0.113.1", 0)}
    a.add_host(network.internet, "203.0.113.1")
    b.add_host(network.internet, "203.0.113.2")
    exchange(a, b)
    network.run(2)
    a.add_relay(preference=WEBSOCKET)
    b.hear_of(a.candidates[-1])
    assert network.run(0.5, lambda: agree(a, b))
