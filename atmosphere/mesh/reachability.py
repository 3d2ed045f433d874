"""Where this node believes that strangers can reach it, so that it may relay for other members. Pure.

Three things make it believe so: an address of its own that is routed everywhere; a port that its router opened on
request; and a check which nothing of ours had let in (ice/mux.py), at a socket whose address servers told us: that is a
forwarded port, or a router that does not filter by port. It may be wrong, since nobody tells it of firewalls: whoever
asks in vain looks elsewhere (member_relays.py). What a check has shown counts for an hour, and longer while somebody
uses it; it ends with its socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from atmosphere.ice.candidate import Candidate
from atmosphere.udp.address_class import address_class

__all__ = ["EVERYWHERE", "MOST", "Place", "Reachability", "is_everywhere", "relay_uri"]

EVERYWHERE = frozenset({"public", "documentation", "benchmarking"})
"""Classes of addresses that count as routed everywhere; laboratories use the last two."""

MOST = 4
"""Places that are told to others, at most."""

SHOWN_FOR = 3600.0
"""Seconds that something counts as reachable after it was last seen to be."""

MAX_SHOWN = 64
"""Sockets remembered as reachable; a node has one for each of its addresses."""

Address = tuple[str, int]


@dataclass(frozen=True)
class Place:
    """A socket's own `local` address, and where it is seen from everywhere; the same where there is no router."""

    local: Address
    public: Address

    @property
    def uri(self) -> str:
        """How others ask for relayed addresses there, over UDP or TCP."""
        return relay_uri(self.public)


class Reachability:
    """What strangers' checks have shown; `now` is in monotonic seconds."""

    def __init__(self) -> None:
        self._shown: dict[Address, float] = {}

    def got_in(self, local: Address, source: str, now: float) -> bool:
        """A check from `source` reached the socket on `local` by itself; whether that is news."""
        if not is_everywhere(source):
            return False
        news = local not in self._shown
        self._shown.pop(local, None)
        self._shown[local] = now
        if len(self._shown) > MAX_SHOWN:
            del self._shown[next(iter(self._shown))]
        return news

    def in_use(self, places: Iterable[Place], now: float) -> None:
        """Somebody has relayed addresses there, so it is reached still."""
        for place in places:
            if place.local in self._shown:
                self._shown[place.local] = now

    def places(self, candidates: Iterable[Candidate], now: float, opened: Set[Address] = frozenset()) -> list[Place]:
        """Where strangers can reach us, given what we can be reached at; the best first, at most 4.

        `opened` are the outer addresses and ports that routers opened for us.
        What was shown long ago, or of a socket that no candidate is of any more, is forgotten.
        """
        candidates = [candidate for candidate in candidates if candidate.transport == "udp"]
        sockets = {_base_of(candidate) for candidate in candidates}
        self._shown = {
            local: when for local, when in self._shown.items() if local in sockets and now < when + SHOWN_FOR
        }
        found: dict[Address, Place] = {}
        for candidate in candidates:
            local = _base_of(candidate)
            shown = candidate.endpoint in opened or local in self._shown
            believed = candidate.type == "host" or (candidate.type == "srflx" and shown)
            if believed and is_everywhere(candidate.address):
                found.setdefault(candidate.endpoint, Place(local, candidate.endpoint))
        return list(found.values())[:MOST]


def _base_of(candidate: Candidate) -> Address:
    if candidate.type == "host" or candidate.related_address is None:
        return candidate.endpoint
    return candidate.related_address, candidate.related_port or 0


def is_everywhere(address: str) -> bool:
    """Whether an address is routed everywhere; raises ValueError for what is not a literal."""
    return address_class(address) in EVERYWHERE


def relay_uri(address: Address) -> str:
    """The TURN URI of an address; the transport is open, so UDP is tried and then TCP."""
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"turn:{host}:{address[1]}"
