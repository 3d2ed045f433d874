"""Whatever happens to the network, once it is well again both ends are on one path (or had failed before)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.ice.vnet import RELAY, Behaviour, Nat, Network, Node, Packet, agree, exchange, make_nodes
from tests.support import seeds

KINDS: tuple[tuple[Behaviour, Behaviour] | None, ...] = (
    None,
    ("EI", "APD"),
    ("EI", "EI"),
    ("AD", "AD"),
    ("APD", "APD"),
)


STEPS = (
    *("block", "heal", "reboot", "remove", "host", "relay", "loss", "latency", "talk"),
    *("distrust", "policy", "rest"),
)


class Chaos:
    """Two nodes and everything that can go wrong between them, by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.network = Network(seed=seed, latency=self.random.choice([0.001, 0.01, 0.1, 0.3]))
        self.network.delay = lambda packet: self.network.random.random() * self.network.latency
        self.a, self.b = make_nodes(self.network)
        self.nats: list[Nat] = []
        self.homes = [self.home(node, number) for node, number in ((self.a, 1), (self.b, 2))]
        self.a.add_relay()
        self.hosts = 10
        exchange(self.a, self.b)

    def home(self, node: Node, number: int) -> tuple[Node, Callable[[int], object]]:
        kind = self.random.choice(KINDS)
        segment, prefix = self.network.internet, f"203.0.113.{number}"
        if kind is not None:
            nat = Nat(self.network.internet, prefix, mapping=kind[0], filtering=kind[1])
            self.nats.append(nat)
            segment, prefix = nat.inside, f"10.0.{number}."
        node.add_host(segment, prefix + "2")
        if self.random.random() < 0.8:
            node.add_relay()
        return node, lambda host: node.add_host(segment, prefix + str(host))

    def step(self) -> None:
        node, add_host = self.random.choice(self.homes)
        match self.random.choice(STEPS):
            case "block":
                self.network.drops.append(self.blocked(self.random.choice(["203.0.113.12", "203.0.113.2", RELAY])))
            case "heal":
                self.network.drops.clear()
            case "reboot" if self.nats:
                self.random.choice(self.nats).reset()
            case "remove" if len(node.bases) > 1:
                node.remove_base(self.random.choice(node.bases))
            case "host":
                self.hosts += 1
                add_host(self.hosts)
            case "relay":
                node.add_relay()
            case "loss":
                self.network.loss = self.random.choice([0.0, 0.1, 0.3])
            case "latency":
                self.network.latency = self.random.choice([0.001, 0.05, 0.4])
            case "distrust":
                node.agent.distrust("data gets lost", self.network.now)
                node.drain()
            case "policy":
                node.agent.set_policy(self.random.choice(["any", "direct", "relay"]), self.network.now)
                node.drain()
            case "rest":
                self.network.run(40)
            case _:
                self.a.send(b"data")
                self.b.send(b"data")
        exchange(self.a, self.b)
        self.network.run(self.random.random() * 6)

    @staticmethod
    def blocked(address: str) -> Callable[[Packet], bool]:
        return lambda packet: address in (packet.source[0], packet.destination[0])

    @property
    def failed(self) -> bool:
        return "failed" in (self.a.state, self.b.state)


@pytest.mark.parametrize("seed", seeds(20, 60))
def test_after_any_trouble_both_ends_agree(seed: int) -> None:
    chaos = Chaos(seed)
    a, b, network = chaos.a, chaos.b, chaos.network
    network.run(5)
    for _ in range(chaos.random.randrange(1, 10)):
        chaos.step()
    network.drops.clear()
    network.loss, network.latency = 0.0, 0.05
    for node in (a, b):
        node.agent.set_policy("any", network.now)
    a.add_relay()
    exchange(a, b)
    assert network.run(25, lambda: chaos.failed or agree(a, b))
    if not chaos.failed:
        network.run(30)
        assert agree(a, b)
