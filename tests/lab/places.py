"""The networks of the matrix by name: what to build, and what theory knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.ipv6 import give_ipv6
from tests.lab.routers import IN_USER_SPACE, KINDS, Kind, UserKind
from tests.lab.theory import Network, network_of
from tests.lab.topology import Lab, Machine
from tests.lab.translation import NatKind


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine can be; `build(lab, name)` puts one there."""

    network: Network
    build: Callable[[Lab, str], Machine]


def _behind(kind: Kind | UserKind | NatKind, network: Network) -> Place:
    return Place(network, lambda lab, name: lab.home(f"{name}-home", kind).machine(name))


def _carrier(kind: Kind) -> Place:
    """A home router of the usual kind behind a carrier's: what the internet sees is the carrier's."""

    def build(lab: Lab, name: str) -> Machine:
        carrier = lab.home(f"{name}-carrier", kind, inside=f"100.64.{len(lab.machines)}")
        return lab.home(f"{name}-home", "port-restricted", behind=carrier).machine(name)

    return Place(network_of(kind), build)


def _with_ipv6(lab: Lab, name: str) -> Machine:
    home = lab.home(f"{name}-home", "symmetric")
    machine = home.machine(name)
    give_ipv6(lab, home, machine)
    return machine


_SYMMETRIC = network_of("symmetric")
PLACES: dict[str, Place] = {
    "none": Place(Network(), lambda lab, name: lab.public(name)),
    **{str(kind): _behind(kind, network_of(kind)) for kind in (*KINDS, *IN_USER_SPACE)},
    "carrier": _carrier("port-restricted"),
    "symmetric-carrier": _carrier("symmetric"),
    "ipv6": Place(Network(_SYMMETRIC.nat, ipv6=True), _with_ipv6),
    "udp-blocked": _behind("udp-blocked", network_of("udp-blocked")),
}
"""What `make lab` pairs with each other."""


def place(name: str) -> Place:
    """A place by its name, or behind any NAT by "MAPPING-FILTERING-ALLOCATION"; ValueError for anything else."""
    if name in PLACES:
        return PLACES[name]
    kind = NatKind.parse(name)
    return _behind(kind, Network(kind))
