"""Every NAT against every NAT: direct where theory allows it, else by relay, and both ends agree."""

from __future__ import annotations

import itertools
from typing import Literal

import pytest

from atmosphere.ice.events import PathSelected
from tests.ice.vnet import Behaviour, Nat, Network, Node, agree, exchange, make_nodes

Kind = tuple[Behaviour, Behaviour] | Literal["open"]
BEHAVIOURS: tuple[Behaviour, ...] = ("EI", "AD", "APD")
KINDS: list[Kind] = ["open", *itertools.product(BEHAVIOURS, BEHAVIOURS)]


def place(network: Network, node: Node, kind: Kind, number: int) -> None:
    if kind == "open":
        node.add_host(network.internet, f"203.0.113.{number}")
    else:
        nat = Nat(network.internet, f"203.0.113.{number}", mapping=kind[0], filtering=kind[1])
        node.add_host(nat.inside, f"10.0.{number}.2")


def hears(kind: Kind, other: Kind) -> bool:
    """Whether a node behind `kind` hears what `other` sends to its STUN-learned address, both sending to each other."""
    if kind == "open":
        return True
    mapping, filtering = kind
    if filtering == "EI":
        return True  # the mapping that STUN showed takes everything
    # It must send from that very mapping to where the other's checks come from.
    if mapping != "EI":
        return False
    return filtering == "AD" or other == "open" or other[0] == "EI"


def can_be_direct(one: Kind, two: Kind) -> bool:
    """One side must hear the other at the address it announced; the answer comes back through the mapping just made.

    That answer must come from the address that was asked: the hearing side's mapping towards the asker is the announced
    one only if it does not depend on the destination.
    """

    def steady(kind: Kind) -> bool:
        return kind == "open" or kind[0] == "EI"

    if steady(one) and steady(two):
        return True
    if steady(one):
        return hears(one, two)
    if steady(two):
        return hears(two, one)
    return False


@pytest.mark.parametrize("one", KINDS, ids=str)
def test_every_pair_of_nats_connects(one: Kind) -> None:
    for two in KINDS:
        network = Network()
        a, b = make_nodes(network)
        for node, kind, number in ((a, one, 1), (b, two, 2)):
            place(network, node, kind, number)
            node.add_relay()
        exchange(a, b)
        assert network.run(2, lambda a=a, b=b: agree(a, b)), two  # type: ignore[misc]
        network.run(20)
        assert agree(a, b), two
        selected = a.agent.selected
        assert selected is not None
        if can_be_direct(one, two):
            assert not selected.is_relayed, two
        assert len(a.events(PathSelected)) <= 2, two
        assert a.sent + b.sent < 900, two
        assert not a.agent.loss


@pytest.mark.parametrize("one", KINDS, ids=str)
def test_without_relay_direct_or_not_at_all(one: Kind) -> None:
    for two in KINDS:
        network = Network()
        a, b = make_nodes(network)
        place(network, a, one, 1)
        place(network, b, two, 2)
        exchange(a, b)
        connected = network.run(3, lambda a=a, b=b: agree(a, b))  # type: ignore[misc]
        if can_be_direct(one, two):
            assert connected, two


def test_two_nodes_behind_one_nat_use_the_lan() -> None:
    network = Network()
    a, b = make_nodes(network)
    nat = Nat(network.internet, "203.0.113.1")
    a.add_host(nat.inside, "10.0.0.2")
    b.add_host(nat.inside, "10.0.0.3")
    exchange(a, b)
    assert network.run(2, lambda: agree(a, b))
    assert a.path == (("10.0.0.2", 7777), ("10.0.0.3", 7777))


@pytest.mark.parametrize("hairpin", [True, False])
def test_only_a_hairpin_joins_nodes_that_hide_their_lan(hairpin: bool) -> None:
    network = Network()
    a, b = make_nodes(network)
    outer = Nat(network.internet, "203.0.113.1", hairpin=hairpin)
    for node, number in ((a, 1), (b, 2)):
        home = Nat(outer.inside, f"100.64.0.{number}")
        node.add_host(home.inside, "192.168.1.2")
    exchange(a, b)
    assert network.run(3, lambda: agree(a, b)) == hairpin


def test_the_late_side_is_met_after_seconds_of_nothing() -> None:
    """Both NATs drop what was not asked for; the other starts 12 s later."""
    network = Network()
    a, b = make_nodes(network)
    place(network, a, ("EI", "APD"), 1)
    place(network, b, ("EI", "APD"), 2)
    a.hear_of(*b.candidates)
    network.run(12)
    assert a.state == "checking"
    b.hear_of(*a.candidates)
    assert network.run(2, lambda: agree(a, b))


def test_a_reachable_listener_needs_no_signaling() -> None:
    """It learns the dialer's address from its checks alone, and calls it peer-reflexive."""
    network = Network()
    a, b = make_nodes(network)
    place(network, a, ("APD", "APD"), 1)
    place(network, b, "open", 2)
    a.hear_of(*b.candidates)
    assert network.run(1, lambda: agree(a, b))
    selected = b.agent.selected
    assert selected is not None
    assert selected.remote.type == "prflx"
    assert a.agent.selected is not None
    assert a.agent.selected.local.type == "prflx"
    # Told the candidates afterwards, it stays where it is.
    b.hear_of(*a.candidates)
    network.run(5)
    assert agree(a, b)
