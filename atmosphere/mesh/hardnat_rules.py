"""Searches for paths through hard NATs: what is told of a NAT, and how often a search may be. Pure."""

from __future__ import annotations

from collections import OrderedDict

from atmosphere.ice.hardnat.allocation import PortAllocation
from atmosphere.ice.hardnat.plan import Side
from atmosphere.ice.nat import NatBehaviour, type_of
from atmosphere.mesh.wire import Nat
from signaling.limits import KeyedBuckets

__all__ = ["UNTOLD", "Ledger", "behaviour_in", "network_of", "side_in", "tell"]

MAX_PEERS = 1024
BURST, REFILL = 8.0, 1 / 300
"""Searches with one peer, at once and a second, whatever it tells of its network."""


UNTOLD = Nat("unknown", "unknown", "unknown", 0, 0, "", 0, udp_blocked=False, searches=False)
"""What a peer that said nothing is taken to have said."""


def tell(behaviour: NatBehaviour, allocation: PortAllocation, public: tuple[str, int] | None, *, searches: bool) -> Nat:
    """What we say of our own NAT."""
    address, port = public or ("", 0)
    return Nat(
        mapping=behaviour.mapping,
        filtering=behaviour.filtering,
        allocation=allocation.kind,
        step=allocation.step,
        last_port=allocation.last_port,
        address=address,
        port=port,
        udp_blocked=behaviour.type == "udp-blocked",
        searches=searches,
    )


def behaviour_in(nat: Nat) -> NatBehaviour:
    """What a peer said its NAT does."""
    answered = 0 if nat.udp_blocked else 1
    kind = type_of(nat.mapping, nat.filtering, asked=1, answered=answered)
    return NatBehaviour(mapping=nat.mapping, filtering=nat.filtering, type=kind)


def side_in(nat: Nat) -> Side:
    """The same for the planner. A sequence without a step is none."""
    kind = "unknown" if nat.allocation == "sequential" and not nat.step else nat.allocation
    return Side(nat.mapping, PortAllocation(kind, nat.step, nat.last_port), nat.udp_blocked, nat.searches)


def network_of(nat: Nat) -> tuple[str, str, bool, bool]:
    """What makes a network another one: a search that failed is not repeated while this stays as it is."""
    return (nat.mapping, nat.address, nat.udp_blocked, nat.searches)


class Ledger:
    """Which peers were searched for between which two networks."""

    def __init__(self) -> None:
        self._done: OrderedDict[str, tuple[object, int]] = OrderedDict()
        self._buckets = KeyedBuckets(REFILL, BURST, MAX_PEERS)

    def may(self, peer: str, networks: object, times: int = 1) -> bool:
        """Whether a search is due: fewer than so many were made between these networks."""
        known, count = self._done.get(peer, (None, 0))
        return known != networks or count < times

    def begin(self, peer: str, networks: object, now: float, times: int = 1) -> bool:
        """Note that one begins; False where it may not."""
        if not self.may(peer, networks, times) or not self._buckets.take(peer, now):
            return False
        known, count = self._done.get(peer, (None, 0))
        self._done[peer] = (networks, count + 1 if known == networks else 1)
        self._done.move_to_end(peer)
        if len(self._done) > MAX_PEERS:
            self._done.popitem(last=False)
        return True

    def undo(self, peer: str) -> None:
        """Forget what was noted, so that a search is due again."""
        self._done.pop(peer, None)
