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
from atmosphere.udp.address_class import address_class

OPEN = frozenset({"public", "documentation", "teredo"})
"""Classes that may be reached. Documentation addresses are nobody's, and laboratories use them as public ones."""


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
        self._own = frozenset(map(canonical, (*settings.addresses, *settings.own_addresses)))
        self._programs: dict[Address, Address] = {}
        self._known_as: dict[Address, Address] = {}
        self.reach = lru_cache(maxsize=4096)(self._reach)

    def move(self, addresses: Mapping[str, str], programs: Mapping[Address, Address]) -> None:
        """Relayed addresses are opened on other ones from now on (local → public), and these are the programs of this
        machine that clients may reach: the address that they are known by → their own."""
        self._relaying = frozenset(map(canonical, addresses.values()))
        self._programs = dict(programs)
        self._known_as = {own: known for known, own in programs.items()}
        self.add_own(addresses)

    def add_own(self, addresses: Iterable[str]) -> None:
        """More addresses of this machine have become known."""
        self._own |= frozenset(map(canonical, addresses))
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
        if str(ip) in self._relaying:
            return Reach.INSIDE
        if address_class(ip) not in OPEN or _plain(ip) in self._own:
            return Reach.REFUSED
        return Reach.OUTSIDE


def canonical(address: str) -> str:
    """The one spelling of a literal."""
    return str(ipaddress.ip_address(address.partition("%")[0]))


def _plain(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The address itself, or the IPv4 address that it stands for."""
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or _nat64(ip)
        return str(inner or ip)
    return str(ip)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
