"""Which peers may be reached through the relay. Pure.

The classes of `udp/address_class.py` decide, and an IPv6 address that carries an IPv4 one has that one's class. What an
operator's `allow_peers` names is allowed whatever it is. Of this machine's own addresses those that relayed addresses
are seen under are special: a permission for one is granted, since two clients of one relay are each other's peers
there, but what is sent to it reaches living relayed addresses and nothing else (`Reach.INSIDE`). Nothing else but the
`programs` that this machine's owner names, for a client may want to talk to the machine that relays for it.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache

from atmosphere.turn.server.flow import Address
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.udp.address_class import IPAddress, address_class, carried

OPEN = frozenset({"public", "documentation", "teredo"})
"""Classes that may be reached. Documentation addresses are nobody's, and laboratories use them as public ones."""

MAX_FORMER = 64
"""Addresses that relayed ones were seen under and no longer are; the oldest is forgotten first."""


class Reach(enum.Enum):
    """How far data for a peer address may go."""

    REFUSED = 0
    INSIDE = 1
    OUTSIDE = 2


class PeerPolicy:
    """Judges peer addresses; remembers its last few thousand answers."""

    def __init__(self, settings: TurnSettings) -> None:
        self._allowed = tuple(ipaddress.ip_network(network) for network in settings.allow_peers)
        self._relaying = frozenset(map(canonical, settings.addresses.values()))
        self._former: dict[str, None] = {}
        self._own = frozenset(map(plain, (*settings.addresses, *settings.own_addresses)))
        self._here: frozenset[str] = frozenset()
        self._programs: dict[Address, Address] = {}
        self._known_as: dict[Address, Address] = {}
        self.reach = lru_cache(maxsize=4096)(self._reach)

    def move(self, addresses: Mapping[str, str], programs: Mapping[Address, Address]) -> None:
        """Relayed addresses are opened on other ones from now on (local → public), and these are the programs of this
        machine that clients may reach: the address that they are known by → their own.

        What relayed addresses were seen under before still reaches those that are open, and nothing else: it may well
        be this machine's as before, or its router's.
        """
        before, self._relaying = self._relaying, frozenset(map(canonical, addresses.values()))
        for address in before | self._relaying:
            self._former.pop(address, None)
        self._former.update(dict.fromkeys(before - self._relaying))
        while len(self._former) > MAX_FORMER:
            del self._former[next(iter(self._former))]
        self._programs = dict(programs)
        self._known_as = {own: known for known, own in programs.items()}
        self.add_own(addresses)

    def add_own(self, addresses: Iterable[str]) -> None:
        """More addresses of this machine have become known."""
        self._own |= frozenset(map(plain, addresses))
        self.reach.cache_clear()

    def here(self, addresses: Iterable[str]) -> None:
        """These are the addresses that the system has now, and no others."""
        found = frozenset(map(plain, addresses))
        if found != self._here:
            self._here = found
            self.reach.cache_clear()

    def way(self, peer: Address) -> Address | None:
        """Where data for a peer is sent that is no relayed address here; None: nowhere."""
        return peer if self.reach(peer[0]) is Reach.OUTSIDE else self._programs.get(peer)

    def known_as(self, source: Address) -> Address:
        """The address by which a client knows who sent from `source`."""
        return self._known_as.get(source, source)

    def _reach(self, host: str) -> Reach:
        """How far data for `host`, a literal, may go."""
        ip = ipaddress.ip_address(host.partition("%")[0])
        if any(ip.version == network.version and ip in network for network in self._allowed):
            return Reach.OUTSIDE
        if str(ip) in self._relaying or str(ip) in self._former:
            return Reach.INSIDE
        return Reach.REFUSED if address_class(ip) not in OPEN or self._is_own(_plain(ip)) else Reach.OUTSIDE

    def _is_own(self, address: str) -> bool:
        """Also where it is one that relayed addresses are seen under: another spelling of it is nobody's peer."""
        return any(address in known for known in (self._own, self._here, self._relaying, self._former))


def canonical(address: str) -> str:
    """The one spelling of a literal."""
    return str(ipaddress.ip_address(address.partition("%")[0]))


def plain(address: str) -> str:
    """The same, or that of the IPv4 address that it stands for."""
    return _plain(ipaddress.ip_address(address.partition("%")[0]))


def _plain(ip: IPAddress) -> str:
    return str(carried(ip) or ip)
