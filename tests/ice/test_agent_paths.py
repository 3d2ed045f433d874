"""Paths that improve, die, come back, lose packets, or are long: what an agent makes of them over minutes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from atmosphere.ice.events import ConsentExpired, IceFailed, PathLost, PathRestored, PathSelected
from atmosphere.ice.pair import PairState
from tests.ice.vnet import RELAY, Nat, Network, Node, Packet, agree, exchange, make_nodes, talk

V4 = ("203.0.113.1", "203.0.113.2")
V6 = ("2001:db8::1", "2001:db8::2")


def open_nodes(network: Network, *, relays: bool = False) -> tuple[Node, Node]:
    a, b = make_nodes(network)
    a.add_host(network.internet, V4[0])
    b.add_host(network.internet, V4[1])
    if relays:
        a.add_relay()
        b.add_relay()
    exchange(a, b)
    return a, b


def connected_nodes(network: Network, *, relays: bool = False) -> tuple[Node, Node]:
    a, b = open_nodes(network, relays=relays)
    assert network.run(3, lambda: agree(a, b))
    network.run(3)
    assert agree(a, b)
    return a, b


def between(*addresses: str) -> Callable[[Packet], bool]:
    """Packets that go from one of the addresses to another."""
    return lambda packet: packet.source[0] in addresses and packet.destination[0] in addresses


def is_relayed(node: Node) -> bool:
    return node.agent.selected is not None and node.agent.selected.is_relayed


def test_relay_first_then_direct_as_soon_as_it_works() -> None:
    network = Network()
    network.drops.append(between(*V4))
    a, b = open_nodes(network, relays=True)
    assert network.run(1, lambda: agree(a, b))
    assert is_relayed(a)
    assert network.now < 1000.5
    network.run(40)
    assert agree(a, b)
    network.drops.clear()
    opened = network.now
    assert network.run(20, lambda: agree(a, b) and not is_relayed(a))
    assert network.now - opened < 18
    assert a.agent.selected is not None
    assert a.agent.selected.local.endpoint == (V4[0], 7777)


def test_a_change_of_the_network_ends_every_back_off() -> None:
    """The direct way opens after a minute over the relay, when it is tried every 16 s; told of it, all is tried now."""
    network = Network()
    network.drops.append(between(*V4))
    a, b = open_nodes(network, relays=True)
    network.run(60)
    network.drops.clear()
    a.agent.network_changed(network.now)
    a.drain()
    assert network.run(0.5, lambda: agree(a, b) and not is_relayed(a))
    a.agent.close()
    a.agent.network_changed(network.now)
    assert a.agent.transmits() == []


def test_direct_that_opens_within_the_first_seconds_is_taken_quickly() -> None:
    network = Network()
    network.drops.append(between(*V4))
    a, b = open_nodes(network, relays=True)
    network.run(2)
    assert is_relayed(a)
    network.drops.clear()
    assert network.run(2.5, lambda: agree(a, b) and not is_relayed(a))


def test_a_late_relay_is_paired_with_what_is_known() -> None:
    network = Network()
    network.drops.append(between(*V4))
    a, b = open_nodes(network)
    network.run(7)
    assert a.state == "checking"
    b.add_relay()
    a.hear_of(b.candidates[-1])
    assert network.run(1, lambda: agree(a, b))
    assert is_relayed(a)


def test_a_late_host_takes_over_from_the_relay() -> None:
    network = Network()
    a, b = make_nodes(network)
    a.add_relay()
    b.add_relay()
    exchange(a, b)
    assert network.run(1, lambda: agree(a, b))
    a.add_host(network.internet, V4[0])
    b.add_host(network.internet, V4[1])
    exchange(a, b)
    assert network.run(2, lambda: agree(a, b) and not is_relayed(a) and not is_relayed(b))


def test_a_dead_path_moves_within_three_seconds_and_data_flows() -> None:
    network = Network()
    a, b = connected_nodes(network, relays=True)
    network.run(60)
    assert not is_relayed(a)
    a.send(b"is anybody there?")
    network.run(0.1)
    b.data.clear()
    network.drops.append(between(*V4))
    died = network.now
    assert network.run(3.5, lambda: agree(a, b) and is_relayed(a) and is_relayed(b))
    assert network.now - died <= 3.2
    assert not a.events(PathLost)
    a.send(b"over the relay")
    network.run(0.2)
    assert b.data == [b"over the relay"]
    # It comes back, is given time to prove itself, and is used again.
    network.run(10)
    assert is_relayed(a)
    network.drops.clear()
    assert network.run(20, lambda: agree(a, b) and not is_relayed(a))
    assert [len(node.events(PathSelected)) for node in (a, b)] == [3, 3]


def test_a_suspicion_finds_a_spare_before_the_path_is_given_up() -> None:
    network = Network()
    a, _ = connected_nodes(network, relays=True)
    for pair in a.agent._pairs:
        if pair is not a.agent.selected:
            pair.state = PairState.FAILED  # as where it was tried long ago, through a NAT that let nothing in
    a.agent.suspect(network.now)
    network.run(0.5)
    assert any(pair.state == "succeeded" and not pair.selected for pair in a.agent.report())
    a.agent.distrust("data is not answered", network.now)
    assert a.agent.selected is not None
    assert not a.events(PathLost)
    a.agent.close()
    a.agent.suspect(network.now)


def test_a_flapping_path_is_left_alone_for_longer_each_time() -> None:
    network = Network()
    a, b = connected_nodes(network, relays=True)
    talk(a, b)
    waits = []
    for _ in range(4):
        network.drops.append(between(*V4))
        assert network.run(4, lambda: agree(a, b) and is_relayed(a))
        network.drops.clear()
        left = network.now
        assert network.run(60, lambda: agree(a, b) and not is_relayed(a))
        waits.append(network.now - left)
        network.run(1)
    assert waits == sorted(waits)
    assert waits[-1] > 3 * waits[0]


def test_a_path_without_a_spare_is_lost_restored_and_at_last_expires() -> None:
    network = Network()
    a, b = connected_nodes(network)
    a.send(b"hello")
    network.run(0.1)
    network.drops.append(between(*V4))
    died = network.now
    assert network.run(4, lambda: a.state == b.state == "disconnected")
    assert network.now - died <= 3.1
    ((_, lost),) = a.events(PathLost)
    assert isinstance(lost, PathLost)
    assert 3.0 <= lost.quiet_seconds < 3.1
    network.run(10)
    network.drops.clear()
    assert network.run(1.5, lambda: agree(a, b))
    assert len(a.events(PathRestored)) == len(b.events(PathRestored)) == 1
    talk(a, b)
    network.drops.append(between(*V4))
    died = network.now
    assert network.run(40, lambda: a.state == b.state == "failed")
    assert 29 < network.now - died < 32
    assert a.events(ConsentExpired)
    assert a.agent.deadline() is None
    sent = a.sent
    network.run(60)
    assert a.sent == sent


def test_a_spare_that_comes_up_while_disconnected_restores_the_path() -> None:
    network = Network()
    a, b = connected_nodes(network)
    network.drops.append(between(*V4))
    network.run(5)
    assert a.state == b.state == "disconnected"
    a.add_relay()
    b.hear_of(a.candidates[-1])
    assert network.run(2, lambda: agree(a, b))
    assert is_relayed(a)
    assert is_relayed(b)
    assert len(a.events(PathRestored)) == len(b.events(PathRestored)) == 1


@pytest.mark.parametrize("controlling_moves", [True, False])
def test_a_base_that_goes_away_moves_the_path(controlling_moves: bool) -> None:
    network = Network()
    a, b = connected_nodes(network, relays=True)
    mover, other = (a, b) if controlling_moves else (b, a)
    assert mover.agent.selected is not None
    mover.remove_base(mover.agent.selected.base)
    assert is_relayed(mover)
    assert mover.state == "connected"
    mover.send(b"still here")
    network.run(0.2)
    assert other.data == [b"still here"]
    assert network.run(5, lambda: agree(a, b))
    network.run(5)
    assert agree(a, b)


@pytest.mark.parametrize("controlling_moves", [True, False])
def test_a_new_network_replaces_the_old_one(controlling_moves: bool) -> None:
    """The only address goes away; seconds later there is another."""
    network = Network()
    a, b = connected_nodes(network)
    mover = a if controlling_moves else b
    assert mover.agent.selected is not None
    mover.remove_base(mover.agent.selected.base)
    assert mover.state == "disconnected"
    assert not agree(a, b)
    network.run(5)
    mover.add_host(network.internet, "203.0.113.77")
    assert network.run(2, lambda: agree(a, b)), (a.path, b.path)
    assert mover.events(PathRestored)
    assert mover.path is not None
    assert mover.path[0] == ("203.0.113.77", 7777)


def test_nat_reboot_is_survived() -> None:
    """All mappings are gone and come back with other ports: the link goes on from the new address."""
    network = Network()
    a, b = make_nodes(network)
    nat = Nat(network.internet, "203.0.113.9", mapping="EI", filtering="APD")
    a.add_host(nat.inside, "10.0.0.2")
    b.add_host(network.internet, V4[1])
    exchange(a, b)
    assert network.run(2, lambda: agree(a, b))
    talk(a, b)
    for _ in range(30):
        network.run(3)
        nat.reset()
        assert network.run(4, lambda: agree(a, b))
    assert a.state == b.state == "connected"


def test_a_third_of_the_packets_lost_is_not_a_dead_path() -> None:
    network = Network(loss=0.3, seed=5)
    a, b = open_nodes(network)
    assert network.run(10, lambda: agree(a, b))
    network.run(300)
    assert agree(a, b)
    assert not a.events(ConsentExpired)
    assert len(a.events(PathLost)) + len(b.events(PathLost)) <= 1
    assert 0.2 < a.agent.loss < 0.9


def test_a_long_round_trip_is_not_a_dead_path() -> None:
    network = Network(latency=0.3)
    network.delay = lambda packet: network.random.random() * 0.02
    a, b = open_nodes(network)
    assert network.run(3, lambda: agree(a, b))
    assert network.now < 1002
    network.run(120)
    assert agree(a, b)
    assert not a.events(PathLost)
    assert not b.events(PathLost)
    assert a.agent.rtt is not None
    assert 0.55 < a.agent.rtt < 0.7
    assert a.agent.jitter < 0.05
    assert a.agent.loss == 0


def test_ten_seconds_of_round_trip_still_answer() -> None:
    """Late answers count, whenever they come."""
    network = Network(latency=5.0)
    a, b = open_nodes(network)
    assert network.run(29, lambda: agree(a, b))


def test_data_alone_shows_life_for_some_seconds_and_gives_no_consent() -> None:
    network = Network()
    a, b = connected_nodes(network)
    network.drops.append(lambda packet: packet.data[:1] < b"\x04")
    for count in range(200):
        b.send(b"data")
        network.run(0.2)
        if count < 30:
            assert a.state == "connected"
    assert b.state == a.state == "failed"


def test_a_path_that_died_in_one_direction_is_left_although_data_comes() -> None:
    network = Network()
    a, b = connected_nodes(network, relays=True)
    network.drops.append(lambda packet: (packet.source[0], packet.destination[0]) == V4)
    for _ in range(50):
        b.send(b"data")
        network.run(0.2)
    assert agree(a, b)
    assert is_relayed(a)


def test_a_process_that_was_stopped_does_not_blame_the_path() -> None:
    network = Network()
    a, b = connected_nodes(network)
    talk(a, b)
    stopped = network.now
    network.now += 8  # nobody's timer ran
    a.agent.handle_timer(network.now)
    assert a.state == "connected"
    assert network.now - stopped == 8
    a.drain()
    network.run(1)
    assert a.state == "connected"
    assert not a.events(PathLost)


@pytest.mark.parametrize("controlling_sees_it", [True, False])
def test_ipv4_answers_last_and_ipv6_is_held_back(controlling_sees_it: bool) -> None:
    """Both ends must come to the same pair, whatever order the answers come in (the chosen-pair disagreement)."""
    network = Network(latency=0.005)
    seer = 0 if controlling_sees_it else 1

    def delay(packet: Packet) -> float:
        late = packet.destination[0] in (V6[seer], V4[seer]) and packet.data[:1] == b"\x01"
        return 0.0 if not late else 0.020 if ":" in packet.destination[0] else 0.021

    network.delay = delay
    a, b = make_nodes(network)
    for node, number in ((a, 0), (b, 1)):
        node.add_host(network.internet, V6[number], preference=65535)
        node.add_host(network.internet, V4[number], preference=65000)
    exchange(a, b)
    assert network.run(2, lambda: agree(a, b))
    network.run(10)
    assert agree(a, b)
    assert a.path == ((V6[0], 7777), (V6[1], 7777))


def test_ipv6_that_works_late_is_moved_to() -> None:
    network = Network()
    network.drops.append(lambda packet: ":" in packet.destination[0])
    a, b = make_nodes(network)
    for node, number in ((a, 0), (b, 1)):
        node.add_host(network.internet, V6[number], preference=65535)
        node.add_host(network.internet, V4[number], preference=65000)
    exchange(a, b)
    assert network.run(2, lambda: agree(a, b))
    assert a.path == ((V4[0], 7777), (V4[1], 7777))
    network.run(1)
    network.drops.clear()
    assert network.run(15, lambda: agree(a, b) and a.path == ((V6[0], 7777), (V6[1], 7777)))


def test_a_better_rank_with_a_much_longer_way_is_left_alone() -> None:
    network = Network()
    network.delay = lambda packet: 0.2 if ":" in packet.destination[0] else 0.0
    a, b = make_nodes(network)
    for node, number in ((a, 0), (b, 1)):
        node.add_host(network.internet, V6[number], preference=65535)
        node.add_host(network.internet, V4[number], preference=65000)
    exchange(a, b)
    network.run(20)
    assert agree(a, b)
    assert a.path == ((V4[0], 7777), (V4[1], 7777))


def test_spares_are_kept_warm_so_that_nat_mappings_live() -> None:
    network = Network()
    connected_nodes(network, relays=True)
    seen: list[float] = []

    def watch(packet: Packet) -> bool:
        if packet.source[0] == RELAY:
            seen.append(network.now)
        return False

    network.drops.append(watch)
    network.run(120)
    gaps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    assert gaps
    assert max(gaps) < 25.1, "the shortest life of a mapping seen in the field is 30 s"


def test_nobody_there_is_a_failure_with_a_reason() -> None:
    network = Network()
    a, b = make_nodes(network)
    a.add_host(network.internet, V4[0])
    b.add_host(network.internet, V4[1])
    a.hear_of(*b.candidates)
    network.drops.append(between(*V4))
    assert network.run(40, lambda: a.state == "failed")
    assert 14 < network.now - 1000 < 16
    ((_, failed),) = a.events(IceFailed)
    assert isinstance(failed, IceFailed)
    assert failed.reason == "none of 1 pairs of addresses was answered, and neither side has a relay"
    (report,) = a.agent.report()
    assert report.why == "no answer within 5 s"
    assert report.checks_sent >= 15


def test_new_candidates_renew_the_patience_but_not_for_ever() -> None:
    network = Network()
    a, b = make_nodes(network)
    a.add_host(network.internet, V4[0])
    network.drops.append(lambda packet: True)
    for number in range(20):
        network.run(5)
        b.add_host(network.internet, f"203.0.113.{100 + number}")
        a.hear_of(b.candidates[-1])
        if a.state == "failed":
            break
    assert a.state == "failed"
    assert 55 <= network.now - 1000 <= 65
