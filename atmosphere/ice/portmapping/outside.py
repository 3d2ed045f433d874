"""What a mapped port is worth to others: the candidate that it makes, and whether servers agree. Pure.

It is told as a server-reflexive candidate. RFC 8445 has no type of its own for it, and this is what it is: an address
on the outer side of a NAT whose base is the host socket. Every ICE agent knows the type, and prunes it to its base, so
it costs no further checks on our side. It ranks above what STUN servers see, since it needs no hole; unless its address
is not public, or is not the one that servers see: then another NAT is beyond the router, and the port helps only those
between the two.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from atmosphere.ice.candidate import Candidate, foundation
from atmosphere.ice.portmapping.model import Address, Grant
from atmosphere.udp.address_class import address_class

__all__ = ["external_of", "is_public", "mapped_candidate", "trouble", "verified"]

PUBLIC = frozenset({"public", "documentation", "benchmarking"})
"""Classes of addresses that count as routed everywhere; laboratories use the last two."""
_BETWEEN = frozenset({"private", "shared"})
_UNKNOWN = frozenset({"unspecified"})

_BEST, _LESS = 101, 99
"""Type preferences above and below that of server-reflexive candidates (100), so that priorities stay unique."""


def is_public(address: str) -> bool:
    """Whether an address is routed everywhere."""
    return address_class(address) in PUBLIC


def external_of(grant: Grant, seen: Set[str]) -> Address | None:
    """Where the port can be reached. A router that does not know its own address may have it from what servers saw."""
    address = grant.external
    if address is None or address_class(address) in _UNKNOWN:
        address = next(iter(sorted(seen)), None)
    if address is None or address_class(address) not in PUBLIC | _BETWEEN:
        return None
    return (address, grant.port)


def verified(external: Address | None, seen: Set[str]) -> bool | None:
    """Whether servers see us at the address that the router names; None while nobody has told."""
    if external is None or not seen:
        return None
    return external[0] in seen


def trouble(grant: Grant, seen: Set[str]) -> str | None:
    """What is wrong with a port that the router did open, in one line; None where all is well."""
    external = external_of(grant, seen)
    if external is None:
        return "the router opened a port, but does not know its own public address"
    if not is_public(external[0]):
        return f"the router's own outer address is {external[0]}: another NAT is beyond it"
    if verified(external, seen) is False:
        return f"the router names {external[0]}, but servers see {sorted(seen)[0]}: another NAT may be beyond it"
    return None


def mapped_candidate(host: Candidate, grant: Grant, seen: Set[str]) -> Candidate | None:
    """The candidate of a mapped port of the socket `host`; None where there is nothing to tell.

    Of IPv6 there usually is nothing: the router opened its firewall for the host candidate itself.
    """
    external = external_of(grant, seen)
    if external is None or external == host.endpoint or (":" in external[0]) != (host.family == 6):
        return None
    good = is_public(external[0]) and verified(external, seen) is not False
    return replace(
        host,
        foundation=foundation("srflx", host.address, "port mapping"),
        priority=((_BEST if good else _LESS) << 24) | (host.priority & 0xFFFFFF),
        address=external[0],
        port=external[1],
        type="srflx",
        related_address=host.address,
        related_port=host.port,
    )
