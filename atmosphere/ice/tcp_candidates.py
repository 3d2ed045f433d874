"""Candidates of ICE-TCP: who connects to where (RFC 6544 §4.1, §4.5). Pure.

A node's TCP port is its passive candidate, on every address that it has a UDP host candidate on. Its own connections
are active: those candidates are not told to anybody, since nobody can do anything with them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from atmosphere.ice.candidate import Candidate, TcpType, foundation, tcp_priority

__all__ = ["DISCARD", "passive_beyond", "passive_connection", "remote_active", "tcp_host"]

DISCARD: Final = 9
"""The port of a candidate that nobody can connect to (RFC 6544 §4.5)."""

Address = tuple[str, int]


def tcp_host(udp: Candidate, tcp_type: TcpType, port: int = DISCARD) -> Candidate:
    """The TCP candidate on the address of a UDP host candidate."""
    return replace(
        udp,
        foundation=foundation("host", udp.address, protocol="tcp"),
        transport="tcp",
        priority=tcp_priority("host", tcp_type, _other(udp)),
        port=port,
        tcp_type=tcp_type,
    )


def passive_beyond(host: Candidate, external: Address, tcp_type: TcpType = "passive") -> Candidate:
    """The candidate of an address beyond a NAT that leads to the TCP candidate `host`."""
    return replace(
        host,
        foundation=foundation("srflx", host.address, external[0], "tcp"),
        priority=tcp_priority("srflx", tcp_type, (host.priority >> 8) & 8191),
        address=external[0],
        port=external[1],
        type="srflx",
        related_address=host.address,
        related_port=host.port,
        tcp_type=tcp_type,
    )


def passive_connection(local: Address, hosts: list[Candidate]) -> Candidate:
    """Our end of a connection that came to `local`; `hosts` are the node's UDP host candidates."""
    udp = next((one for one in hosts if one.address == local[0]), None) or _unknown(local)
    return tcp_host(udp, "passive", local[1])


def remote_active(source: Address, priority: int) -> Candidate:
    """The remote's end of a connection that came from `source`; `priority` is what its check says."""
    return Candidate(
        foundation=foundation("prflx", source[0], protocol="tcp"),
        component=1,
        transport="tcp",
        priority=priority,
        address=source[0],
        port=source[1],
        type="prflx",
        tcp_type="active",
    )


def _other(udp: Candidate) -> int:
    """RFC 6544's 13 bits of preference for the 16 of a UDP candidate."""
    return (udp.priority >> 8 & 0xFFFF) >> 3


def _unknown(local: Address) -> Candidate:
    return Candidate(foundation("host", local[0]), 1, "udp", 1, *local, "host")
