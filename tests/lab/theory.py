"""Which pairs of networks can be direct, and by what: a table without packets.

Held against the agent itself in `test_theory.py`, and against real routers by `python -m tests.lab.matrix`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.lab.routers import IN_USER_SPACE, KINDS, Kind, UserKind
from tests.lab.translation import NatKind

Outcome = Literal["direct", "predicted", "hard", "tcp", "relay"]
"""By an ordinary hole punch; by knowing a sequential NAT's next port; by a search over many ports; over TCP alone;
not at all."""


@dataclass(frozen=True, slots=True)
class Network:
    """What theory must know of a place: its NAT (None: a public address), and what gets out of it."""

    nat: NatKind | None = None
    udp: bool = True
    ipv4: bool = True
    ipv6: bool = False

    @property
    def steady(self) -> bool:
        """Whether a peer sees the very endpoint that STUN saw."""
        return self.nat is None or self.nat.mapping == "endpoint-independent"

    @property
    def predictable(self) -> bool:
        """Whether the next mapping's port follows from the last one's."""
        return self.nat is not None and self.nat.allocation in ("sequential", "preserved")


def network_of(kind: Kind | UserKind) -> Network:
    """What stands behind a router's name."""
    if kind in IN_USER_SPACE:
        return Network(IN_USER_SPACE[kind])
    if kind in KINDS:
        return Network(NatKind(*KINDS[kind], "random" if kind == "symmetric" else "preserved"))
    return Network(NatKind("endpoint-independent", "address-and-port-dependent"), udp=False)


def expected(one: Network, other: Network) -> Outcome:
    """The best that theory allows."""
    if one.ipv6 and other.ipv6 and one.udp and other.udp:
        return "direct"  # firewalls without translation: both knock, both get in
    if not (one.ipv4 and other.ipv4):
        return "relay"
    if not (one.udp and other.udp):
        return "tcp" if _is_public(one) or _is_public(other) else "relay"
    if one.steady and other.steady:
        return "direct"
    if one.steady or other.steady:
        steady, changing = (one, other) if one.steady else (other, one)
        return _steady_with_changing(steady, changing)
    return _both_changing(one, other)


def _is_public(network: Network) -> bool:
    return network.nat is None and network.udp


def _filter(network: Network) -> str:
    return "endpoint-independent" if network.nat is None else network.nat.filtering


def _steady_with_changing(steady: Network, changing: Network) -> Outcome:
    """The changing side's packets come from a port that nobody was told: only a filter on ports minds."""
    if _filter(steady) != "address-and-port-dependent":
        return "direct"
    return "predicted" if changing.predictable else "hard"


def _both_changing(one: Network, other: Network) -> Outcome:
    """Somebody must hear a stranger at the mapping that STUN saw, and answer so that the answer is let in.

    If then at least one side's port is the same for the other's whole address, the checks that follow meet; else every
    answer comes from one more new port.
    """
    assert one.nat is not None
    assert other.nat is not None
    filters = {_filter(one), _filter(other)}
    open_to_all = "endpoint-independent" in filters
    if open_to_all and "address-and-port-dependent" not in filters:
        if "address-dependent" in (one.nat.mapping, other.nat.mapping):
            return "direct"
    return "predicted" if one.predictable and other.predictable else "relay"
