"""Whose address counts when a connection comes from a reverse proxy (pure).

A proxy appends the address that it saw to `X-Forwarded-For`. Whatever stands left of the last address that no trusted
proxy has is the client's own invention. Without this, all clients behind a proxy would share one address's limits.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

MAX_HOPS = 16


class TrustedProxies:
    """The networks of reverse proxies that are believed; raises ValueError for text that is no network."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in networks)

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        parsed = _address(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client(self, forwarded: Iterable[str]) -> str | None:
        """The client that the X-Forwarded-For headers of a trusted proxy name; None when they name none."""
        hops = [hop.strip() for header in forwarded for hop in header.split(",")]
        found = None
        for hop in reversed(hops[-MAX_HOPS:]):
            parsed = _address(_without_port(hop))
            if parsed is None:
                break
            found = str(parsed)
            if found not in self:
                break
        return found


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, ipaddress.IPv6Address) else parsed


def _without_port(hop: str) -> str:
    """`192.0.2.1` of `192.0.2.1:4711`, `2001:db8::1` of `[2001:db8::1]:4711`: some proxies add the port."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
