"""What a NAT does, concluded from what servers saw (RFC 4787's terms, RFC 5780's tests). Pure.

    mapping     how our public address and port depend on whom we talk to
    filtering   who may send to us through it: tells a full cone from a restricted one
    type        the everyday name of the two together

Tables, so that each line can be read and tested. The asking is `ice.nat_probe`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

Behaviour = Literal["none", "endpoint-independent", "address-dependent", "address-and-port-dependent", "unknown"]
NatType = Literal["open", "full-cone", "restricted-cone", "port-restricted-cone", "symmetric", "udp-blocked", "unknown"]
Address = tuple[str, int]


@dataclass(frozen=True)
class Seen:
    """`server` saw our socket at `mapped`."""

    server: Address
    mapped: Address


@dataclass(frozen=True)
class NatBehaviour:
    """The whole answer. `hairpinning` is None where it could not be tried or means nothing (no NAT)."""

    mapping: Behaviour = "unknown"
    filtering: Behaviour = "unknown"
    hairpinning: bool | None = None
    type: NatType = "unknown"


def mapping_of(local: Address, seen: Iterable[Seen]) -> Behaviour:
    """How one socket's public address depends on the destination, from what several servers saw of it.

    Servers that saw our own address, while others did not, are on our side of the NAT and say nothing about it.
    One server's word is not enough, nor are two ports of one address. Where only servers of different addresses were
    asked and saw different things, the port is taken to matter too: that is what nearly all such NATs do, and the
    assumption that costs least when it is wrong. Two servers with two ports each (or one of RFC 5780) tell for sure.
    """
    everything = list(seen)
    found = [item for item in everything if item.mapped != local]
    if not found:
        return "none" if everything else "unknown"
    if len({item.mapped for item in found}) == 1:
        return "endpoint-independent" if len({item.server[0] for item in found}) > 1 else "unknown"
    same_host = [(a, b) for a, b in combinations(found, 2) if a.server[0] == b.server[0] and a.server != b.server]
    if same_host and all(a.mapped == b.mapped for a, b in same_host):
        return "address-dependent"
    return "address-and-port-dependent"


def filtering_of(mapping: Behaviour, *, from_elsewhere: bool | None, from_other_port: bool | None) -> Behaviour:
    """Who may send to us: did an answer come from the server's other address, and from its other port?

    None: not tried.
    """
    if from_elsewhere:
        return "none" if mapping == "none" else "endpoint-independent"
    if from_elsewhere is None or from_other_port is None:
        return "unknown"
    return "address-dependent" if from_other_port else "address-and-port-dependent"


_CONE: dict[Behaviour, NatType] = {
    "none": "full-cone",
    "endpoint-independent": "full-cone",
    "address-dependent": "restricted-cone",
    "address-and-port-dependent": "port-restricted-cone",
    "unknown": "port-restricted-cone",
}

_BY_MAPPING: dict[Behaviour, NatType] = {
    "none": "open",
    "address-dependent": "symmetric",
    "address-and-port-dependent": "symmetric",
    "unknown": "unknown",
}


def type_of(mapping: Behaviour, filtering: Behaviour, *, asked: int, answered: int) -> NatType:
    """The everyday name. `asked` and `answered` count servers that a request could be sent to, and their answers.

    `open` says that there is no NAT; a firewall that filters shows in `filtering`. A cone whose filtering could not be
    tested is called the strictest, which is the most common too.
    """
    if asked and not answered:
        return "udp-blocked"
    return _CONE[filtering] if mapping == "endpoint-independent" else _BY_MAPPING[mapping]


_SENTENCES: dict[NatType, str] = {
    "open": "This machine has a public address: peers can reach it directly.",
    "full-cone": "The router lets anybody in once a port is open: direct connections to nearly every network.",
    "restricted-cone": "Direct connections to most networks; to the strictest ones by port guessing or a relay.",
    "port-restricted-cone": "Direct connections to most networks; to symmetric NATs by port guessing or a relay.",
    "symmetric": "The router uses a new port for each peer: direct to open networks, else by port guessing or relay.",
    "udp-blocked": "No UDP comes through: connections need a relay over TCP or WebSocket (--turn, --signaling).",
    "unknown": "Too few servers answered to tell what the router does; connections are tried in every way.",
}


def expectation(behaviour: NatBehaviour) -> str:
    """One plain sentence on what to expect from this NAT."""
    if behaviour.type == "open" and behaviour.filtering in ("address-dependent", "address-and-port-dependent"):
        return "There is no NAT but a firewall: direct connections once both sides have sent a packet, which ICE does."
    return _SENTENCES[behaviour.type]
