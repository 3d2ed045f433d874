"""Hard weather over minutes, in virtual time: the link survives it, and the right path comes back."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from atmosphere.ice.events import ConsentExpired, PathLost, PathSelected
from tests.ice.vnet import Nat, Network, Node, Packet, agree, exchange, make_nodes, talk

V4 = ("203.0.113.1", "203.0.113.2")


def connected(network: Network, *, relays: bool = True) -> tuple[Node, Node]:
    """Two nodes on a direct path, each with a relay besides."""
    a, b = make_nodes(network)
    a.add_host(network.internet, V4[0])
    b.add_host(network.internet, V4[1])
    if relays:
        a.add_relay()
        b.add_relay()
    exchange(a, b)
    assert network.run(5, lambda: agree(a, b))
    network.run(3)
    assert agree(a, b)
    return a, b


def between(*addresses: str) -> Callable[[Packet], bool]:
    return lambda packet: packet.source[0] in addresses and packet.destination[0] in addresses


def is_relayed(node: Node) -> bool:
    return node.agent.selected is not None and node.agent.selected.is_relayed


def never_over(*nodes: Node) -> bool:
    return not any(node.events(ConsentExpired) for node in nodes) and all(node.state != "failed" for node in nodes)


def numbered(node: Node, every: float = 0.1) -> None:
    """From now on `node` sends numbers, one datagram each."""
    network, numbers = node.network, itertools.count()

    def send() -> None:
        node.send(b"%d" % next(numbers))
        network.at(network.now + every, send)

    send()


@pytest.mark.parametrize("relays", [False, True])
def test_two_minutes_of_600_ms(relays: bool) -> None:
    network = Network(latency=0.01)
    a, b = connected(network, relays=relays)
    talk(a, b)
    network.latency = 0.3
    network.delay = lambda packet: network.random.random() * 0.05
    network.run(120)
    assert never_over(a, b)
    assert agree(a, b)
    network.latency = 0.01
    assert network.run(30, lambda: agree(a, b) and not is_relayed(a))
    assert not a.events(PathLost) + b.events(PathLost)


@pytest.mark.parametrize("seed", range(5))
def test_two_minutes_of_two_seconds(seed: int) -> None:
    """It comes all of a sudden, so some answers are late; nothing ends, and nothing stays broken."""
    network = Network(latency=0.01, seed=seed)
    a, b = connected(network)
    talk(a, b)
    network.latency = 1.0
    network.delay = lambda packet: network.random.random() * 0.2
    network.run(120)
    assert never_over(a, b)
    network.latency = 0.01
    network.delay = lambda packet: 0.0
    assert network.run(60, lambda: agree(a, b) and not is_relayed(a))
    assert never_over(a, b)


@pytest.mark.parametrize("talking", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_two_minutes_of_a_third_of_the_packets_lost(seed: int, talking: bool) -> None:
    network = Network(latency=0.03, seed=seed)
    a, b = connected(network)
    if talking:
        talk(a, b)
    network.loss = 0.3
    network.run(120)
    assert never_over(a, b)
    moves = len(a.events(PathSelected)) + len(b.events(PathSelected)) - 2
    assert moves <= 8, "no flapping"
    network.loss = 0.0
    assert network.run(70, lambda: agree(a, b) and not is_relayed(a))


@pytest.mark.parametrize("talking", [False, True])
def test_ten_seconds_without_any_network(talking: bool) -> None:
    network = Network()
    a, b = connected(network)
    if talking:
        talk(a, b)
    network.drops.append(lambda packet: True)
    network.run(10)
    network.drops.clear()
    assert network.run(3, lambda: agree(a, b))
    assert never_over(a, b)
    a.send(b"still here")
    network.run(0.2)
    assert b.data[-1] == b"still here" or b"still here" in b.data
    assert network.run(70, lambda: agree(a, b) and not is_relayed(a))


@pytest.mark.parametrize("seed", range(10))
def test_a_blackholed_direct_path_with_a_good_relay(seed: int) -> None:
    network = Network(seed=seed, latency=0.02)
    a, b = connected(network)
    network.run(seed * 3)
    numbered(a)
    numbered(b)
    network.run(1 + seed / 10)
    network.drops.append(between(*V4))
    died = network.now
    got = len(a.data), len(b.data)
    assert network.run(4, lambda: len(a.data) > got[0] + 2 and len(b.data) > got[1] + 2)
    assert network.now - died <= 3.2, "silence"
    network.run(60)
    assert agree(a, b)
    assert is_relayed(a)
    network.drops.clear()
    assert network.run(70, lambda: agree(a, b) and not is_relayed(a))
    assert not a.events(PathLost) + b.events(PathLost)


@pytest.mark.parametrize("direction", [V4, V4[::-1]])
@pytest.mark.parametrize("seed", range(5))
def test_a_path_that_is_dead_one_way(direction: tuple[str, str], seed: int) -> None:
    """Neither end gets answers, whichever way it is; both move."""
    network = Network(seed=seed, latency=0.02)
    a, b = connected(network)
    numbered(a)
    numbered(b)
    network.run(1)
    network.drops.append(lambda packet: (packet.source[0], packet.destination[0]) == direction)
    died = network.now
    assert network.run(6, lambda: agree(a, b) and is_relayed(a))
    assert network.now - died <= 5.6, "data that still comes is a sign of life for a while"
    network.run(30)
    assert agree(a, b)
    assert is_relayed(a)
    network.drops.clear()
    assert network.run(70, lambda: agree(a, b) and not is_relayed(a))
    assert never_over(a, b)


@pytest.mark.parametrize("controlling_moves", [True, False])
@pytest.mark.parametrize("relays", [True, False])
def test_a_nat_rebinds_in_the_middle_of_traffic(controlling_moves: bool, relays: bool) -> None:
    network = Network()
    a, b = make_nodes(network)
    inside, outside = (a, b) if controlling_moves else (b, a)
    nat = Nat(network.internet, "203.0.113.9", mapping="EI", filtering="APD")
    inside.add_host(nat.inside, "10.0.0.2")
    outside.add_host(network.internet, V4[1])
    if relays:
        a.add_relay()
        b.add_relay()
    exchange(a, b)
    assert network.run(5, lambda: agree(a, b))
    numbered(a)
    numbered(b)
    network.run(5)
    for _ in range(3):
        nat.reset()
        got, rebound = len(inside.data), network.now
        # What goes out opens the new mapping; what comes in needs the other end to learn of it.
        assert network.run(4, lambda got=got: len(inside.data) > got + 2)  # type: ignore[misc]
        assert network.now - rebound <= 3.5, "three datagrams after at most three seconds"
        network.run(70)
        assert agree(a, b)
        assert not is_relayed(a)
    assert never_over(a, b)


@pytest.mark.parametrize("same", ["10.0.0.2", "192.168.1.10"])
def test_the_same_private_address_on_both_sides(same: str) -> None:
    """Each finds itself at the other's host candidate, which must not be taken for the other."""
    network = Network()
    a, b = make_nodes(network)
    for number, node in enumerate((a, b)):
        nat = Nat(network.internet, f"203.0.113.{20 + number}", mapping="EI", filtering="APD")
        node.add_host(nat.inside, same)
        node.add_relay()
    exchange(a, b)
    assert network.run(5, lambda: agree(a, b) and not is_relayed(a))
    a.send(b"to b")
    b.send(b"to a")
    network.run(60)
    assert (a.data, b.data) == ([b"to a"], [b"to b"])
    assert never_over(a, b)


@pytest.mark.parametrize("seconds", [5.0, 12.0, 20.0])
@pytest.mark.parametrize("talking", [False, True])
def test_a_process_that_was_suspended_for_less_than_consent_lasts(seconds: float, talking: bool) -> None:
    network = Network()
    a, b = connected(network)
    if talking:
        talk(b)
    network.run(6)
    asleep = freeze(a)
    network.run(seconds)
    asleep()
    network.run(1)
    assert a.state == "connected"
    assert not a.events(PathLost)
    a.send(b"awake")
    assert network.run(5, lambda: agree(a, b) and b"awake" in b.data)
    assert network.run(70, lambda: agree(a, b) and not is_relayed(a))


def test_a_process_that_was_suspended_for_a_minute_sends_nothing_without_consent() -> None:
    """The other end gave up after 30 s, as it must: what goes on is the layer above, by a session of its own."""
    network = Network()
    a, b = connected(network)
    asleep = freeze(a)
    network.run(60)
    assert b.state == "failed"
    asleep()
    assert a.state == "failed"
    assert a.events(ConsentExpired)
    assert a.agent.transmits() == []
    c, d = make_nodes(network)
    c.add_host(network.internet, V4[0])
    d.add_host(network.internet, V4[1])
    exchange(c, d)
    assert network.run(1, lambda: agree(c, d)), "and that takes no time"


def freeze(node: Node) -> Callable[[], None]:
    """Stop a node's process; call what is returned to let it go on, with what its socket's buffer kept meanwhile."""
    timer, receive, kept = node._timer, node.receive, []
    node._timer = lambda deadline: None  # type: ignore[method-assign]
    node.receive = lambda *datagram: kept.append(datagram)  # type: ignore[method-assign]

    def thaw() -> None:
        node._timer, node.receive = timer, receive  # type: ignore[method-assign]
        node.agent.handle_timer(node.network.now)
        node.drain()
        for datagram in kept:
            receive(*datagram)

    return thaw
