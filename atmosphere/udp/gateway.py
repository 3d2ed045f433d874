"""The router of one of our addresses: the default gateway of its interface, and which addresses are neighbours there.

Linux tells by /proc/net/route and /proc/net/ipv6_route. Elsewhere the gateway of an IPv4 address is taken to be the
first of its network, as it is in nearly every home; that is asked, and if it is no router it does not answer.
"""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass
from pathlib import Path

import ifaddr

from atmosphere.udp.address_class import address_class
from atmosphere.udp.route import ipv4_defaults

__all__ = ["Link", "default_routes", "link_of", "parse_ipv4_routes", "parse_ipv6_routes"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_RTF_UP, _RTF_GATEWAY = 0x1, 0x2


@dataclass(frozen=True)
class Link:
    """An address of ours, its interface (name and index), that interface's router and networks.

    A link-local `gateway` has no zone here; `scoped` adds it, for the system's calls.
    """

    address: str
    interface: str
    index: int
    gateway: str
    networks: tuple[Network, ...]

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    def scoped(self, address: str) -> str:
        """`address` as the system takes it: an IPv6 link-local one with its zone."""
        if ":" in address and address_class(address) == "link-local":
            return f"{address}%{self.interface}"
        return address


def link_of(address: str) -> Link | None:
    """The router of our `address`; None where there is none, or the system does not tell."""
    family = 6 if ":" in address else 4
    for adapter in ifaddr.get_adapters():
        own = [(ip.ip if isinstance(ip.ip, str) else ip.ip[0], ip.network_prefix) for ip in adapter.ips]
        if address not in (literal for literal, _ in own):
            continue
        networks = tuple(
            ipaddress.ip_network(f"{literal}/{prefix}", strict=False)
            for literal, prefix in own
            if (":" in literal) == (family == 6)
        )
        name = adapter.nice_name if sys.platform == "win32" else adapter.name
        gateway = _routes(family).get(name) or _first_host(address, networks)
        return None if gateway is None else Link(address, name, adapter.index or 0, gateway, networks)
    return None


def default_routes() -> dict[tuple[int, str], str]:
    """(4 or 6, interface) → default gateway: when that is another, so may the router of an address be. Cheap."""
    return {(family, name): gateway for family in (4, 6) for name, gateway in _routes(family).items()}


def _routes(family: int) -> dict[str, str]:
    try:
        if family == 4:
            return parse_ipv4_routes(Path("/proc/net/route").read_text())
        return parse_ipv6_routes(Path("/proc/net/ipv6_route").read_text())
    except OSError:
        return {}


def _first_host(address: str, networks: tuple[Network, ...]) -> str | None:
    """The first address of our network, on systems that do not show their routes."""
    if _shows_routes() or ":" in address:
        return None
    ours = ipaddress.ip_address(address)
    for network in networks:
        first = network[1] if network.num_addresses > 2 else ours
        if ours in network and first != ours:
            return str(first)
    return None


def _shows_routes() -> bool:
    return Path("/proc/net/route").exists()


def parse_ipv4_routes(table: str) -> dict[str, str]:
    """Interface → default gateway, from Linux's /proc/net/route; the one with the lowest metric."""
    return {name: gateway for _, gateway, name in sorted(ipv4_defaults(table), reverse=True)}


def parse_ipv6_routes(table: str) -> dict[str, str]:
    """Interface → default gateway, from Linux's /proc/net/ipv6_route; the one with the lowest metric."""
    found: dict[str, tuple[int, str]] = {}
    for line in table.splitlines():
        row = line.split()
        try:
            prefix, bits, gateway, metric, flags, name = (row[0], row[1], row[4], row[5], int(row[8], 16), row[9])
            is_default = int(prefix, 16) == 0 and bits == "00"
            route = (int(metric, 16), str(ipaddress.IPv6Address(bytes.fromhex(gateway))))
        except (IndexError, ValueError):
            continue
        if is_default and flags & _RTF_UP and flags & _RTF_GATEWAY:
            found[name] = min(route, found.get(name, route))
    return {name: gateway for name, (_, gateway) in found.items()}
