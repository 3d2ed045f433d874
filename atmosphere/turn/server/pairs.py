"""Who talks to whom among the allocations that share their relayed addresses. Pure.

Two allocations of this server that talk to each other each see a shared address as their peer, which does not say which
allocation is meant. They are paired first come, first served: who sends to a shared address waits there for the next
who has that address and sends to its own. The two addresses are the same one unless the server relays on several.
"""

from __future__ import annotations

from atmosphere.turn.server.allocation import Relayed
from atmosphere.turn.server.flow import Address


class Pairs:
    """The pairs of all shared ports of one server, and who waits for a partner."""

    def __init__(self) -> None:
        self.addresses: set[Address] = set()
        """Of the shared ports, as the world sees them."""
        self._waiting: dict[tuple[Address, Address], dict[Relayed, None]] = {}
        """Own address and peer's → who waits between the two."""
        self._partners: dict[Relayed, dict[Address, Relayed]] = {}

    def partner(self, relayed: Relayed, peer: Address, now: float) -> Relayed | None:
        """The allocation that an allocation talks to at the shared address `peer`; without one it waits for it."""
        own = relayed.address
        partner = self._partners.get(relayed, {}).get(peer)
        if partner is not None:
            if permits(partner, own[0], now):
                return partner
            self._part(relayed, peer)
        waiting = self._waiting.get((peer, own), {})
        for other in list(waiting):
            if not permits(other, own[0], now):
                del waiting[other]
            elif other is not relayed:
                self._join(relayed, other)
                return other
        self._waiting.setdefault((own, peer), {})[relayed] = None
        return None

    def leave(self, relayed: Relayed) -> None:
        """The allocation is over."""
        for peer in list(self._partners.get(relayed, ())):
            self._part(relayed, peer)
        for waiting in self._waiting.values():
            waiting.pop(relayed, None)
        self._waiting = {way: waiting for way, waiting in self._waiting.items() if waiting}

    def _join(self, one: Relayed, other: Relayed) -> None:
        for first, second in ((one, other), (other, one)):
            self._waiting.get((first.address, second.address), {}).pop(first, None)
            self._partners.setdefault(first, {})[second.address] = second

    def _part(self, relayed: Relayed, peer: Address) -> None:
        partner = self._partners[relayed][peer]
        for first, second in ((relayed, partner), (partner, relayed)):
            mine = self._partners[first]
            del mine[second.address]
            if not mine:
                del self._partners[first]


def permits(relayed: Relayed, host: str, now: float) -> bool:
    """Whether the allocation lives and permits `host`."""
    return relayed.allocation is not None and relayed.allocation.permissions.allows(host, now)
