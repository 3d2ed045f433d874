"""What candidate pairs give away about both NATs, where nobody told it. Pure.

A check that came through shows under which address and port its sender was seen from there (RFC 8445's peer-reflexive
candidates). One socket that is seen under two ports of one public address has a mapping that depends on whom it talks
to. A relay is enough for that: it sees the peer as any other server does, which is how two symmetric NATs are told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import PairReport
from atmosphere.ice.nat import Behaviour, NatBehaviour, type_of
from atmosphere.mesh.reachability import is_everywhere

__all__ = ["ours", "public_addresses", "theirs"]

Address = tuple[str, int]


def ours(told: NatBehaviour, candidates: Iterable[Candidate], pairs: Iterable[PairReport]) -> NatBehaviour:
    """Our NAT: as `told`, or else as our candidates and the pairs show it."""
    if told.mapping != "unknown":
        return told
    candidates = [one for one in candidates if _tells(one)]
    seen: dict[Address, set[Address]] = defaultdict(set)
    for one in [*candidates, *(pair.local for pair in pairs if _tells(pair.local))]:
        # A relayed base keeps the relay's priority, whatever is discovered through it.
        if one.type in ("srflx", "prflx") and not one.is_relayed and one.related_address is not None:
            seen[one.related_address, one.related_port or 0].add(one.endpoint)
    confirmed = any(pair.state == "succeeded" and pair.local.type == "srflx" for pair in pairs)
    is_open = any(one.type == "host" and is_everywhere(one.address) for one in candidates)
    return _judged(told, seen.values(), confirmed=confirmed, is_open=is_open)


def theirs(told: NatBehaviour, pairs: Iterable[PairReport]) -> NatBehaviour:
    """The peer's NAT: as `told`, or else as its candidates and those that its checks came from show it."""
    if told.mapping != "unknown":
        return told
    pairs = [pair for pair in pairs if _tells(pair.remote) and not pair.remote.is_relayed]
    seen: dict[str, set[Address]] = defaultdict(set)
    for pair in pairs:
        if pair.remote.type in ("srflx", "prflx"):
            seen[pair.remote.address].add(pair.remote.endpoint)
    # Several machines behind one router may be tried, by several sockets each: one word of the peer's is what counts.
    told_by_peer = [pair.remote.endpoint for pair in pairs if pair.remote.type == "srflx"]
    counted = [ports for ports in seen.values() if len(set(told_by_peer) & ports) == 1]
    confirmed = any(pair.state == "succeeded" and pair.remote.type == "srflx" for pair in pairs)
    is_open = any(pair.remote.type == "host" and is_everywhere(pair.remote.address) for pair in pairs)
    return _judged(told, counted, confirmed=confirmed, is_open=is_open)


def _tells(candidate: Candidate) -> bool:
    """Whether a candidate can say anything about how a NAT maps UDP."""
    return candidate.family == 4 and candidate.transport == "udp"


def _judged(told: NatBehaviour, seen: Iterable[set[Address]], *, confirmed: bool, is_open: bool) -> NatBehaviour:
    mapping: Behaviour = "unknown"
    if is_open:
        mapping = "none"
    elif any(_several_ports(addresses) for addresses in seen):
        mapping = "address-and-port-dependent"
    elif confirmed:
        mapping = "endpoint-independent"
    kind = type_of(mapping, told.filtering, asked=0, answered=0)
    return NatBehaviour(mapping, told.filtering, told.hairpinning, kind)


def _several_ports(addresses: set[Address]) -> bool:
    """Whether one public address shows several ports; another address may be another way out, and says nothing."""
    return len({address for address, _ in addresses}) < len(addresses)


def public_addresses(candidates: Iterable[Candidate]) -> frozenset[str]:
    """The addresses among `candidates` under which the whole internet sees their owner."""
    return frozenset(one.address for one in candidates if one.type != "relay" and not one.is_relayed and _far(one))


def _far(candidate: Candidate) -> bool:
    # What a server saw counts even where it is none of the routed kind: a laboratory's, or a provider's own NAT.
    return candidate.type in ("srflx", "prflx") or is_everywhere(candidate.address)
