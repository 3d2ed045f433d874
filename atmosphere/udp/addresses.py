"""This machine's addresses that a peer could reach, best first.

One UDP socket per address, so each is listed by itself. Left out: interfaces that are down, bridges to this host's own
containers and virtual machines, IPv6 link-local, site-local, tentative and deprecated addresses, a temporary (privacy)
IPv6 address where the interface also has a stable one. IPv4 link-local (two machines on a bare cable) counts when there
is nothing better, loopback when there is nothing at all.
"""

from __future__ import annotations

import array
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import ifaddr

from atmosphere.udp.address_class import address_class, is_usable_remote
from atmosphere.udp.interfaces import Quality, is_left_out, quality_of

__all__ = [
    "LocalAddress",
    "Quality",
    "address_class",
    "choose",
    "every_own_address",
    "is_usable_remote",
    "local_addresses",
]

LIMIT = 16
"""Addresses at most: a host with hundreds (a router, a server with a prefix) needs no socket on each."""

_DADFAILED, _DEPRECATED, _TENTATIVE, _TEMPORARY = 0x08, 0x20, 0x40, 0x01
_SIOCGIFFLAGS = 0x8913
_UP_AND_RUNNING = 0x1 | 0x40


@dataclass(frozen=True)
class LocalAddress:
    """An address of ours: interface `name`, literal `address`, `family` 4 or 6, `quality` (higher is better)."""

    name: str
    address: str
    family: int
    quality: Quality


def local_addresses() -> list[LocalAddress]:
    """The addresses worth a socket, best first: wired, Wi-Fi, cellular, VPN; at most 16. Empty on a bare machine."""
    found = [
        LocalAddress(adapter.name, *_literal(ip.ip), quality_of(label))
        for adapter in ifaddr.get_adapters()
        for label in [adapter.nice_name if sys.platform == "win32" else adapter.name]
        for ip in adapter.ips
        if not is_left_out(label)
    ]
    up = {name: _is_up(name) for name in {item.name for item in found}}
    return choose((item for item in found if up[item.name]), _ipv6_flags())


def every_own_address() -> frozenset[str]:
    """All addresses of this machine, those too that are not worth a socket: what is sent to them stays here."""
    found = {_literal(ip.ip)[0] for adapter in ifaddr.get_adapters() for ip in adapter.ips}
    return frozenset(found | {"127.0.0.1", "::1"})


def _literal(ip: str | tuple[str, int, int]) -> tuple[str, int]:
    """ifaddr's notation (IPv6 with flow and scope) as (literal, family)."""
    return (ip, 4) if isinstance(ip, str) else (ip[0], 6)


def choose(found: Iterable[LocalAddress], ipv6_flags: dict[str, int]) -> list[LocalAddress]:
    """The usable ones of `found`, best first. `ipv6_flags` are the kernel's IFA_F_* flags by address."""
    tiers: dict[str, list[LocalAddress]] = {"": [], "link-local": [], "loopback": []}
    for item in dict.fromkeys(found):
        kind = address_class(item.address)
        flags = ipv6_flags.get(item.address, 0)
        if kind == "loopback" and item.address in {"127.0.0.1", "::1"}:
            tiers["loopback"].append(LocalAddress(item.name, item.address, item.family, Quality.LOOPBACK))
        elif kind == "link-local" and item.family == 4:
            tiers["link-local"].append(LocalAddress(item.name, item.address, item.family, Quality.LINK_LOCAL))
        elif _is_good(item, kind) and not flags & (_DADFAILED | _DEPRECATED | _TENTATIVE):
            tiers[""].append(item)
    best = next((tier for tier in tiers.values() if tier), [])
    return sorted(_without_temporary(best, ipv6_flags), key=_order)[:LIMIT]


def _is_good(item: LocalAddress, kind: str) -> bool:
    if item.family == 6 and item.address.lower().startswith(("::ffff:", "64:ff9b:")):
        return False
    return kind in {"public", "private", "shared", "documentation", "benchmarking"}


def _without_temporary(found: list[LocalAddress], flags: dict[str, int]) -> list[LocalAddress]:
    stable = {item.name for item in found if item.family == 6 and not flags.get(item.address, 0) & _TEMPORARY}
    return [item for item in found if item.name not in stable or not flags.get(item.address, 0) & _TEMPORARY]


def _order(item: LocalAddress) -> tuple[int, int]:
    """Best interface first; on it public IPv6, then IPv4, then IPv6 of local use. Otherwise as the system says."""
    local_use = item.family == 6 and address_class(item.address) == "private"
    return (-item.quality, 2 if local_use else (1 if item.family == 4 else 0))


def _is_up(name: str) -> bool:
    """Whether the interface is up with a carrier; True where the system does not say.

    Asked by ioctl and not in /sys, which shows another namespace's interfaces to a process that entered one.
    """
    if not sys.platform.startswith("linux"):
        return True
    import fcntl

    request = array.array("B", struct.pack("16sh14x", name.partition(":")[0].encode()[:15], 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            fcntl.ioctl(sock, _SIOCGIFFLAGS, request)
        except OSError:
            return True
    flags: int = struct.unpack_from("16xH", request)[0]
    return flags & _UP_AND_RUNNING == _UP_AND_RUNNING


def _ipv6_flags(read: Callable[[], str] = lambda: Path("/proc/net/if_inet6").read_text()) -> dict[str, int]:
    """IFA_F_* flags by IPv6 address, from Linux's table; empty elsewhere."""
    try:
        rows = [line.split() for line in read().splitlines()]
        return {
            socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[0])): int(row[4], 16) for row in rows if len(row) == 6
        }
    except (OSError, ValueError):
        return {}
