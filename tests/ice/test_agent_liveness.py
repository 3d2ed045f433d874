"""How often a path is asked whether it lives, and how soon its death is noticed: idle, in use, and distrusted."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from atmosphere.ice.events import ConsentExpired, PathLost, PathRestored, PathSelected
from atmosphere.stun.message import Class, decode, is_stun
from tests.ice.vnet import RELAY, Nat, Network, Node, Packet, agree, exchange, make_nodes, talk
from tests.support import seeds

V4 = ("203.0.113.1", "203.0.113.2")
HOUR = 3600.0


def connected(network: Network, *, relays: bool = False, idle: float = 60.0) -> tuple[Node, Node]:
    """Two nodes on a direct path that has been idle for a while."""
    a, b = make_nodes(network)
    a.add_host(network.internet, V4[0])
    b.add_host(network.internet, V4[1])
    if relays:
        a.add_relay()
        b.add_relay()
    exchange(a, b)
    assert network.run(5, lambda: agree(a, b))
    network.run(idle)
    assert agree(a, b)
    return a, b


def between(*addresses: str) -> Callable[[Packet], bool]:
    return lambda packet: packet.source[0] in addresses and packet.destination[0] in addresses


def is_relayed(node: Node) -> bool:
    return node.agent.selected is not None and node.agent.selected.is_relayed


def watch(network: Network, interesting: Callable[[Packet], bool] = lambda packet: True) -> list[tuple[float, Packet]]:
    """Every packet that sets out from now on, whatever becomes of it."""
    seen: list[tuple[float, Packet]] = []

    def note(packet: Packet) -> bool:
        if interesting(packet):
            seen.append((network.now, packet))
        return False

    network.drops.insert(0, note)
    return seen


def is_check(packet: Packet) -> bool:
    return is_stun(packet.data) and decode(packet.data).message_class is Class.REQUEST


def longest_gap(times: list[float]) -> float:
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def test_an_idle_hour_costs_some_hundred_packets_and_keeps_every_mapping() -> None:
    network = Network()
    connected(network)
    seen = watch(network)
    network.run(HOUR)
    assert 750 <= len(seen) <= 950, "both directions together"
    assert sum(len(packet.data) + 28 for _, packet in seen) < 130_000, "bytes, with the headers of IP and UDP"
    for sender in V4:
        sent = [when for when, packet in seen if packet.source[0] == sender]
        assert longest_gap(sent) < 16
        checks = [when for when, packet in seen if packet.source[0] == sender and is_check(packet)]
        assert longest_gap(checks) < 22, "each for its own consent"
    checks = [when for when, packet in seen if packet.source[0] == V4[0] and is_check(packet)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(checks)]
    assert max(gaps) - min(gaps) > 2, "never at a beat"


def test_spare_pairs_are_no_louder_than_the_path() -> None:
    network = Network()
    connected(network, relays=True)
    seen = watch(network, lambda packet: RELAY in (packet.source[0], packet.destination[0]))
    network.run(HOUR)
    checks = {packet.data: (packet.source, packet.destination) for _, packet in seen if is_check(packet)}
    assert len(checks) > 300
    for ends in {frozenset(ends) for ends in checks.values()}:
        assert sum(frozenset(each) == ends for each in checks.values()) < 3600 / 18, "both ways together"


@pytest.mark.parametrize("seconds", [6.0, 15.0, 60.0])
def test_the_idle_interval_follows_what_the_nat_allows(seconds: float) -> None:
    network = Network()
    a, b = connected(network)
    a.agent.set_rest(seconds)
    b.agent.set_rest(seconds)
    a.drain()
    b.drain()
    network.run(30)
    seen = watch(network)
    network.run(HOUR)
    sent = [when for when, packet in seen if packet.source[0] == V4[1]]
    assert longest_gap(sent) <= min(seconds, 18.0) * 1.1 + 0.1
    assert a.state == b.state == "connected"


def test_traffic_on_an_idle_path_is_a_reason_to_ask_at_once() -> None:
    network = Network()
    a, _ = connected(network)
    seen = watch(network, is_check)
    assert network.run(20, lambda: bool(seen))
    network.run(2)
    seen.clear()
    began = network.now
    a.send(b"hello")
    network.run(0.1)
    assert {packet.source[0] for _, packet in seen} == set(V4), "who sends and who hears"
    for _ in range(40):
        a.send(b"more")
        network.run(0.5)
    assert longest_gap([when for when, packet in seen if packet.source[0] == V4[0]]) < 1.25
    network.run(10)
    assert seen[-1][0] < network.now - 4, "and quiet again"
    assert network.now - began < 31


def test_expecting_an_answer_is_traffic_too() -> None:
    network = Network()
    a, _ = connected(network)
    network.drops.append(between(*V4))
    a.agent.expect(network.now)
    a.drain()
    began = network.now
    assert network.run(5, lambda: a.state == "disconnected")
    assert network.now - began == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize("speaker", [0, 1])
@pytest.mark.parametrize("seed", range(8))
def test_the_first_data_on_an_idle_path_that_died_moves_within_three_seconds(speaker: int, seed: int) -> None:
    """Whoever speaks, and although the other end had no reason to look."""
    network = Network(seed=seed, latency=0.04)
    nodes = connected(network, relays=True)
    quiet = seed / 2
    assert network.run(60, lambda: all((node.agent.deadline() or 0) > network.now + quiet for node in nodes))
    network.drops.append(between(*V4))
    network.run(quiet)
    assert agree(*nodes)
    assert not is_relayed(nodes[0])
    began = network.now
    nodes[speaker].send(b"hello")
    assert network.run(4, lambda: agree(*nodes) and is_relayed(nodes[0]))
    assert network.now - began <= 3.0
    assert not nodes[0].events(PathLost) + nodes[1].events(PathLost)


def test_an_idle_path_that_died_is_noticed_by_its_next_check() -> None:
    network = Network()
    a, b = connected(network)
    network.drops.append(between(*V4))
    began = network.now
    assert network.run(30, lambda: a.state == "disconnected")
    assert network.now - began < 15 + 6.1
    network.run(30)
    assert a.events(ConsentExpired)
    assert b.events(ConsentExpired), "consent is 30 s, idle or not"
    assert network.now - began < 60


@pytest.mark.parametrize("seed", seeds(2, 6))
def test_hours_of_loss_and_long_ways_do_not_end_an_idle_link(seed: int) -> None:
    weather = random.Random(seed)
    network = Network(seed=seed, latency=0.01)
    a, b = connected(network)
    network.loss, network.latency = 0.3, weather.choice([0.05, 0.3, 1.0])
    network.delay = lambda packet: network.random.random() * network.latency / 5
    for _ in range(60):
        network.run(120 * weather.random() * 2)
        if weather.random() < 0.5:
            weather.choice([a, b]).send(b"data")
        assert (a.state, b.state).count("failed") == 0
    network.loss, network.latency = 0.0, 0.01
    assert network.run(25, lambda: agree(a, b))


def test_a_nat_that_forgets_after_thirty_seconds_does_not_forget_an_idle_link() -> None:
    network = Network()
    a, b = make_nodes(network)
    nats = [Nat(network.internet, f"203.0.113.{number}", mapping="EI", filtering="APD") for number in (11, 12)]
    a.add_host(nats[0].inside, "10.0.0.2")
    b.add_host(nats[1].inside, "10.0.0.2")
    exchange(a, b)
    assert network.run(5, lambda: agree(a, b))
    outside = {nat.address for nat in nats}
    seen = watch(network, lambda packet: packet.source[0] in outside)
    network.run(600)
    for address in outside:
        assert longest_gap([when for when, packet in seen if packet.source[0] == address]) < 17
    before = a.path
    a.send(b"hello")
    network.run(0.1)
    assert b.data == [b"hello"]
    assert a.path == before


# Checks pass and data does not


@pytest.mark.parametrize("doubter", [0, 1])
def test_a_distrusted_path_is_left_at_once_by_both_ends(doubter: int) -> None:
    network = Network()
    nodes = connected(network, relays=True)
    network.drops.append(lambda packet: between(*V4)(packet) and not is_stun(packet.data))
    node = nodes[doubter]
    node.agent.distrust("data gets lost", network.now)
    assert is_relayed(node), "make before break"
    node.drain()
    assert network.run(0.1, lambda: agree(*nodes) and is_relayed(nodes[1 - doubter]))
    assert not node.events(PathLost)
    left = next(report for report in node.agent.report() if not report.relayed)
    assert (left.state, left.why) == ("failed", "data gets lost")
    nodes[0].send(b"there")
    nodes[1].send(b"back")
    network.run(0.2)
    assert (nodes[1].data, nodes[0].data) == ([b"there"], [b"back"])


@pytest.mark.parametrize("doubter", [0, 1])
def test_a_path_distrusted_again_and_again_is_tried_ever_more_rarely(doubter: int) -> None:
    network = Network()
    nodes = connected(network, relays=True)
    node = nodes[doubter]
    used, left = [], network.now
    for _ in range(5):
        assert network.run(90, lambda: agree(*nodes) and not is_relayed(node))
        used.append(network.now - left)
        node.agent.distrust("data gets lost", network.now)
        node.drain()
        left = network.now
        network.run(0.2)
        assert agree(*nodes)
        assert is_relayed(node)
    assert used[1:] == sorted(used[1:])
    assert used[-1] > 4 * used[1]


@pytest.mark.parametrize("doubter", [0, 1])
def test_the_only_path_is_lost_when_distrusted_and_used_again_after_its_hold_down(doubter: int) -> None:
    network = Network()
    nodes = connected(network)
    node = nodes[doubter]
    for number in range(1, 5):
        node.agent.distrust("data gets lost", network.now)
        node.agent.distrust("data gets lost", network.now)
        node.drain()
        assert node.state == "disconnected"
        assert len(node.events(PathLost)) == number
        network.run(2.5)
        assert node.agent.selected is None, "what was left is not taken back at once"
        assert network.run(12, lambda: agree(*nodes))
        assert len(node.events(PathRestored)) == number
    assert not node.events(ConsentExpired)


def test_distrust_before_there_is_a_path_and_after_the_end_does_nothing() -> None:
    network = Network()
    a, b = make_nodes(network)
    a.agent.distrust("nothing", network.now)
    a.add_host(network.internet, V4[0])
    b.add_host(network.internet, V4[1])
    exchange(a, b)
    assert network.run(1, lambda: agree(a, b))
    a.agent.close()
    a.agent.distrust("nothing", network.now)
    a.agent.expect(network.now)
    assert a.state == "closed"
    assert len(a.events(PathSelected)) == 1


def test_an_objection_to_an_older_nomination_is_ignored() -> None:
    network = Network()
    a, b = connected(network, relays=True)
    seen = watch(network, lambda packet: is_check(packet) and "DOUBT" in decode(packet.data).attributes)
    b.agent.distrust("data gets lost", network.now)
    b.drain()
    assert network.run(0.1, lambda: agree(a, b))
    assert network.run(30, lambda: agree(a, b) and not is_relayed(a))
    (_, doubt), *_ = seen
    spare = next(pair for pair in a.agent.report() if pair.relayed and pair.remote.endpoint == doubt.source)
    a.receive(doubt.data, spare.base, doubt.source)
    assert not is_relayed(a)


def test_the_end_that_loses_its_address_makes_the_other_move_without_waiting() -> None:
    network = Network()
    a, b = connected(network, relays=True)
    assert b.agent.selected is not None
    b.remove_base(b.agent.selected.base)
    assert is_relayed(b)
    assert network.run(0.1, lambda: agree(a, b))


def test_talk_goes_on_for_minutes_without_a_flaw() -> None:
    network = Network()
    a, b = connected(network, relays=True)
    talk(a, b)
    network.run(120)
    assert [len(node.events(PathSelected)) for node in (a, b)] == [1, 1]
