"""Which way out the system would take: our address towards a destination, and IPv4's default gateways."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["default_gateway", "ipv4_defaults", "source_for", "ways_out"]

Address = tuple[str, int]

_RTF_GATEWAY = 0x2
_FAR_4, _FAR_6 = ("192.0.2.1", 9), ("2001:db8::1", 9)
"""Documentation addresses: no network has a route to them of its own, so they tell the default route."""


def source_for(destination: Address) -> str | None:
    """The local address that a datagram to `destination` (a literal) would leave from; None where there is no route.

    Nothing is sent: connecting a UDP socket only asks the routing table.
    """
    family = socket.AF_INET6 if ":" in destination[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect((destination[0], destination[1] or 9))
            source: str = sock.getsockname()[0]
    except OSError:
        return None
    return source if source not in ("0.0.0.0", "::") else None  # noqa: S104 - compared, not bound


def default_gateway() -> str | None:
    """The IPv4 default gateway; None where there is none, or where the system does not tell (other than Linux)."""
    try:
        table = Path("/proc/net/route").read_text()
    except OSError:
        return None
    return min(ipv4_defaults(table), default=(0, None, ""))[1]


def ipv4_defaults(table: str) -> Iterator[tuple[int, str, str]]:
    """The default routes in Linux's /proc/net/route: metric (the lowest is used), gateway, interface."""
    for line in table.splitlines()[1:]:
        row = line.split()
        try:
            destination, gateway, flags, metric, mask = (row[1], int(row[2], 16), int(row[3], 16), int(row[6]), row[7])
        except (IndexError, ValueError):
            continue
        if destination == mask == "00000000" and flags & _RTF_GATEWAY and 0 < gateway <= 0xFFFFFFFF:
            order = "<I" if sys.byteorder == "little" else ">I"  # the kernel prints its own byte order
            yield metric, socket.inet_ntoa(struct.pack(order, gateway)), row[0]


def ways_out() -> tuple[str | None, str | None, str | None]:
    """How this machine reaches the internet now: its address over IPv4 and over IPv6, and IPv4's gateway.

    Another answer than before says that another network is used, though no address came or went.
    """
    return source_for(_FAR_4), source_for(_FAR_6), default_gateway()
