"""The table of what can be direct: equal to what the agent does on a network in memory, and the known rows by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tests.ice.test_agent_nats import Kind as VirtualKind
from tests.ice.test_agent_nats import place
from tests.ice.vnet import Network as VirtualNetwork
from tests.ice.vnet import agree, exchange, make_nodes
from tests.lab.routers import Kind, UserKind
from tests.lab.theory import Network, Outcome, expected, network_of
from tests.lab.translation import DEPENDENCES, SHORT, NatKind

PUBLIC, IPV6_ONLY = Network(), Network(ipv4=False, ipv6=True)
SHORTEN = {long: short for short, long in SHORT.items()}
NETWORKS = [
    PUBLIC,
    *(
        Network(NatKind(mapping, filtering, "random"))
        for mapping, filtering in itertools.product(DEPENDENCES, repeat=2)
    ),
]


def virtual(network: Network) -> VirtualKind:
    if network.nat is None:
        return "open"
    return SHORTEN[network.nat.mapping], SHORTEN[network.nat.filtering]  # type: ignore[return-value]


@pytest.mark.parametrize("one", NETWORKS, ids=lambda network: str(network.nat))
def test_an_ordinary_hole_punch_is_enough_exactly_where_the_table_says(one: Network) -> None:
    for other in NETWORKS:
        network = VirtualNetwork()
        a, b = make_nodes(network)
        place(network, a, virtual(one), 1)
        place(network, b, virtual(other), 2)
        exchange(a, b)
        met = network.run(5, lambda a=a, b=b: agree(a, b))  # type: ignore[misc]
        assert met is (expected(one, other) == "direct"), other


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ("port-restricted", "port-restricted", "direct"),
        ("port-restricted", "symmetric", "hard"),
        ("port-restricted", "address-symmetric", "hard"),
        ("port-restricted", "open-symmetric", "hard"),
        ("restricted-cone", "symmetric", "direct"),
        ("full-cone", "sequential", "direct"),
        ("port-restricted", "sequential", "predicted"),
        ("sequential", "sequential", "predicted"),
        ("sequential", "symmetric", "relay"),
        ("symmetric", "symmetric", "relay"),
        ("open-symmetric", "open-symmetric", "relay"),
        ("udp-blocked", "full-cone", "relay"),
        ("udp-blocked", "udp-blocked", "relay"),
    ],
)
def test_pairs_of_routers(one: Kind | UserKind, other: Kind | UserKind, outcome: Outcome) -> None:
    assert expected(network_of(one), network_of(other)) == outcome
    assert expected(network_of(other), network_of(one)) == outcome


def test_a_public_address_is_reached_by_everybody() -> None:
    assert expected(PUBLIC, network_of("symmetric")) == "direct"
    assert expected(PUBLIC, PUBLIC) == "direct"
    assert expected(PUBLIC, network_of("udp-blocked")) == expected(network_of("only-https"), PUBLIC) == "tcp"
    assert expected(replace(PUBLIC, udp=False), network_of("udp-blocked")) == "relay"


def test_ipv6_goes_where_ipv4_cannot() -> None:
    symmetric = network_of("symmetric")
    both = replace(symmetric, ipv6=True)
    assert expected(both, both) == expected(both, IPV6_ONLY) == expected(IPV6_ONLY, IPV6_ONLY) == "direct"
    assert expected(both, symmetric) == expected(symmetric, IPV6_ONLY) == "relay"
    assert expected(replace(both, udp=False), both) == "relay"
