"""One relayed port for all allocations: whose peer is it that a datagram comes from? Pure.

Where a firewall opens a single port, every allocation has the same relayed address, and the peer's address alone tells
them apart. So a peer's transport address belongs to one allocation at a time:

- to the one that bound a channel to it or sent to it first, while that one still permits its host; another's
  ChannelBind is refused (403), another's data is dropped;
- while nobody has, to the one that permitted its host first.

Two allocations of this server that talk to each other are another matter: see `pairs`.
"""

from __future__ import annotations

from atmosphere.turn.server.allocation import Relayed
from atmosphere.turn.server.flow import Address
from atmosphere.turn.server.host import Relay
from atmosphere.turn.server.pairs import Pairs, permits

MAX_CLAIMS = 1024
"""Peer addresses of one allocation; the oldest is given up first."""
MAX_PERMITTED = 2048
"""Hosts of one allocation before those that it no longer permits are forgotten."""


class SharedPort:
    """One such port: its members and whom they talk to."""

    def __init__(self, address: Address, pairs: Pairs) -> None:
        self.address = address
        self.pairs = pairs
        self.relay: Relay | None = None
        self._claims: dict[Address, Relayed] = {}
        self._of_member: dict[Relayed, dict[Address, None]] = {}
        self._permitted: dict[Relayed, set[str]] = {}
        self._hosts: dict[str, dict[Relayed, None]] = {}

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
        self.pairs.leave(relayed)

    def permit(self, relayed: Relayed, host: str, now: float) -> None:
        """An allocation has permitted `host`."""
        mine = self._permitted[relayed]
        if len(mine) >= MAX_PERMITTED:
            for old in [old for old in mine if not permits(relayed, old, now)]:
                self._unpermit(relayed, old)
        mine.add(host)
        self._hosts.setdefault(host, {}).setdefault(relayed)

    def may_claim(self, relayed: Relayed, peer: Address, now: float) -> bool:
        """Whether `peer` is this allocation's or could be."""
        owner = self._claims.get(peer)
        return owner is None or owner is relayed or not permits(owner, peer[0], now)

    def claim(self, relayed: Relayed, peer: Address, now: float) -> bool:
        """Whether `peer` is this allocation's, which has it from now on."""
        owner = self._claims.get(peer)
        if owner is relayed:
            return True
        if owner is not None:
            if permits(owner, peer[0], now):
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
        if owner is not None and permits(owner, peer[0], now):
            return owner
        for relayed in list(self._hosts.get(peer[0], ())):
            if permits(relayed, peer[0], now):
                return relayed
            self._unpermit(relayed, peer[0])
        return None

    def _unpermit(self, relayed: Relayed, host: str) -> None:
        self._permitted[relayed].discard(host)
        members = self._hosts[host]
        del members[relayed]
        if not members:
            del self._hosts[host]
