"""What kind of address it is, from an explicit table: RFC 6890 with shared 100.64/10 (RFC 6598). Pure.

Never Python's `is_private`: it also counts the documentation ranges, which laboratories and this project's tests use,
and its answers have changed between Python versions.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_IPV4 = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("240.0.0.0/4", "reserved"),
)
_IPV6 = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "reserved"),
    ("64:ff9b:1::/48", "private"),
    ("100::/64", "discard"),
    ("2001::/32", "teredo"),
    ("2001:2::/48", "benchmarking"),
    ("2001:db8::/32", "documentation"),
    ("2001::/23", "reserved"),
    ("3fff::/20", "documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
_Table = tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str], ...]
_TABLE: dict[int, _Table] = {
    4: tuple((ipaddress.IPv4Network(network), name) for network, name in _IPV4),
    6: tuple((ipaddress.IPv6Network(network), name) for network, name in _IPV6),
}
_EMBEDDED = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),  # SIIT, IPv4-translated (RFC 2765)
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052)
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4
)


def carried(ip: IPAddress) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, translated, NAT64 or 6to4."""
    if isinstance(ip, ipaddress.IPv6Address):
        for network, shift in _EMBEDDED:
            if ip in network:
                return ipaddress.IPv4Address(int(ip) >> shift & 0xFFFFFFFF)
    return None


@lru_cache(maxsize=1024)
def address_class(address: str | IPAddress) -> str:
    """One word for an address: public, private, shared, loopback, link-local, multicast, documentation, …

    An IPv6 address that carries an IPv4 address (mapped, SIIT, NAT64, 6to4) has that address's class, so that nothing
    private is reached by spelling it differently. Raises ValueError for what is not a literal address.
    """
    ip = ipaddress.ip_address(address.partition("%")[0]) if isinstance(address, str) else address
    inner = carried(ip)
    if inner is not None:
        return address_class(inner)
    for known, name in _TABLE[ip.version]:
        if ip in known:
            return name
    return "public"


def is_usable_remote(address: str) -> bool:
    """Whether one datagram to `address` can only reach one machine: a literal, not multicast, broadcast or void."""
    try:
        return address_class(address) not in {"multicast", "broadcast", "unspecified", "discard", "reserved"}
    except ValueError:
        return False
