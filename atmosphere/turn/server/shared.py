"""One relayed port for all allocations: whose peer is it that a datagram comes from? Pure.

Where a firewall opens a single port, every allocation has the same relayed address, and the peer's address alone tells
them apart. So a peer's transport address belongs to one allocation at a time:

- to the one that bound a channel to it or sent to it first, while that one still permits its host; another's
  ChannelBind is refused (403), another's data is dropped;
- while nobody has, to the one that permitted its host first.

Two allocations of this server that talk to each other both see the shared address as their peer, which does not say
which allocation is meant. They are paired first come, first served: who sends to it waits for the next who does.
"""

from __future__ import annotations

from atmosphere.turn.server.allocation import Relayed
from atmosphere.turn.server.flow import Address
from atmosphere.turn.server.host import Relay

MAX_CLAIMS = 1024
"""Peer addresses of one allocation; the oldest is given up first."""
MAX_PERMITTED = 2048
"""Hosts of one allocation before those that it no longer permits are forgotten."""


class SharedPort:
    """One such port: its members, whom they talk to, and who waits for a partner."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.relay: Relay | None = None
        self._claims: dict[Address, Relayed] = {}
        self._of_member: dict[Relayed, dict[Address, None]] = {}
        self._permitted: dict[Relayed, set[str]] = {}
        self._hosts: dict[str, dict[Relayed, None]] = {}
        self._waiting: dict[Relayed, None] = {}
        self._partners: dict[Relayed, Relayed] = {}

    def __len__(self) -> int:
        return len(self._of_member)

    def join(self, relayed: Relayed) -> None:
        """One more allocation has the address."""
        self._of_member[relayed] = {}
        self._permitted[relayed] = set()

    def leave(self, relayed: Relayed) -> None:
        """It no longer has."""
        for peer in self._of_member.pop(relayed, ()):
            self._claims.pop(peer, None)
        for host in list(self._permitted.get(relayed, ())):
            self._unpermit(relayed, host)
        self._permitted.pop(relayed, None)
        self._unpair(relayed)

    def permit(self, relayed: Relayed, host: str, now: float) -> None:
        """An allocation has permitted `host`."""
        mine = self._permitted[relayed]
        if len(mine) >= MAX_PERMITTED:
            for old in [old for old in mine if not _permits(relayed, old, now)]:
                self._unpermit(relayed, old)
        mine.add(host)
        self._hosts.setdefault(host, {}).setdefault(relayed)

    def claim(self, relayed: Relayed, peer: Address, now: float) -> bool:
        """Whether `peer` is this allocation's, which has it from now on."""
        owner = self._claims.get(peer)
        if owner is relayed:
            return True
        if owner is not None:
            if _permits(owner, peer[0], now):
                return False
            self._of_member[owner].pop(peer, None)
        mine = self._of_member[relayed]
        if len(mine) >= MAX_CLAIMS:
            oldest = next(iter(mine))
            del mine[oldest], self._claims[oldest]
        mine[peer] = None
        self._claims[peer] = relayed
        return True

    def owner(self, peer: Address, now: float) -> Relayed | None:
        """Whose datagrams from `peer` are; None: nobody's."""
        owner = self._claims.get(peer)
        if owner is not None and _permits(owner, peer[0], now):
            return owner
        for relayed in list(self._hosts.get(peer[0], ())):
            if _permits(relayed, peer[0], now):
                return relayed
            self._unpermit(relayed, peer[0])
        return None

    def partner(self, relayed: Relayed, now: float) -> Relayed | None:
        """The allocation that an allocation talks to at the shared address itself; without one it waits for it."""
        host = self.address[0]
        partner = self._partners.get(relayed)
        if partner is not None:
            if _permits(partner, host, now):
                return partner
            self._unpair(relayed)
        for other in list(self._waiting):
            if not _permits(other, host, now):
                del self._waiting[other]
            elif other is not relayed:
                self._waiting.pop(relayed, None)
                del self._waiting[other]
                self._partners[relayed], self._partners[other] = other, relayed
                return other
        self._waiting[relayed] = None
        return None

    def _unpair(self, relayed: Relayed) -> None:
        self._waiting.pop(relayed, None)
        partner = self._partners.pop(relayed, None)
        if partner is not None:
            del self._partners[partner]

    def _unpermit(self, relayed: Relayed, host: str) -> None:
        self._permitted[relayed].discard(host)
        members = self._hosts[host]
        del members[relayed]
        if not members:
            del self._hosts[host]


def _permits(relayed: Relayed, host: str, now: float) -> bool:
    return relayed.allocation is not None and relayed.allocation.permissions.allows(host, now)
