"""Which members this node relays through: the same two as everybody else, as long as they answer. Pure.

Members that are reachable offer their relays in their contacts. Everybody goes through them in one order, made of the
mesh's and the member's id, so that any two members find each other at one relay and data between them never leaves it:
where only a forwarded port leads to that member, that is the only way. Who offers nothing but IPv6 comes last, for at
home a firewall usually stands in front of it.

An offer says where to ask, not that it is true. One that fails rests a while and the next in order takes its place;
where there is no other it is kept, since then the fault is probably ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from atmosphere.errors import DecodeError
from atmosphere.mesh.reachability import is_everywhere
from atmosphere.turn.uri import ServerUri, parse_turn

__all__ = ["USED", "Choice", "Offer", "offer_of"]

USED = 2
"""Members that one node relays through."""
MOST = 4
"""Allocations of one node while one relay takes over from another."""
REST = 300.0
"""Seconds that a failing offer rests while there are others."""


@dataclass(frozen=True)
class Offer:
    """A member and where it says that its relay is."""

    node_id: str
    uris: tuple[ServerUri, ...]


def offer_of(node_id: str, relays: Iterable[str]) -> Offer | None:
    """The offer in a contact; None where it makes no sense: each must be an address that is routed everywhere."""
    uris = tuple(uri for text in relays if (uri := _usable(text)) is not None)
    return Offer(node_id, uris) if uris else None


def _usable(text: str) -> ServerUri | None:
    try:
        server = parse_turn(text)
        literal = is_everywhere(server.uri.host)
    except (DecodeError, ValueError):  # the latter: a name, which would let a member have everybody look things up
        return None
    usable = literal and server.uri.scheme == "turn" and server.uri.is_modest and server.username is None
    return server.uri if usable else None


class Choice:
    """The offers in use; `choose` again whenever something changed."""

    def __init__(self) -> None:
        self._using: list[tuple[str, ServerUri]] = []
        self._rests: dict[ServerUri, float] = {}

    def choose(
        self,
        mesh_id: bytes,
        offers: Iterable[Offer],
        families: Collection[int],
        health: Mapping[str, bool | None],
        now: float,
    ) -> list[tuple[str, ServerUri]]:
        """(node id, URI) of the relays to use from now on.

        `families` (4, 6) are those of our own addresses; `health` says of each URI in use whether it answers (None: not
        known yet). A relay that works stays until those that come before it work too.
        """
        ways = {offer.node_id: _ways(offer, families) for offer in sorted(offers, key=lambda one: _rank(mesh_id, one))}
        self._let_rest(health, now)
        wanted = [(node_id, self._best(uris)) for node_id, uris in ways.items() if uris]
        wanted.sort(key=lambda one: self._rests.get(one[1], 0.0))  # stable: who does not rest keeps the order
        wanted = wanted[:USED]
        if any(health.get(str(uri)) is not True for _, uri in wanted):
            still = [(node_id, uri) for node_id, uri in self._using if uri in ways.get(node_id, ())]
            wanted += [one for one in still if one not in wanted and health.get(str(one[1]))]
        self._using = wanted[:MOST]
        return list(self._using)

    def _let_rest(self, health: Mapping[str, bool | None], now: float) -> None:
        self._rests = {uri: until for uri, until in self._rests.items() if until > now}
        for _, uri in self._using:
            if health.get(str(uri)) is False:
                self._rests.setdefault(uri, now + REST)
            elif health.get(str(uri)):
                self._rests.pop(uri, None)

    def _best(self, uris: list[ServerUri]) -> ServerUri:
        """The first that does not rest, else the one that has rested longest."""
        return min(uris, key=lambda uri: self._rests.get(uri, 0.0))


def _rank(mesh_id: bytes, offer: Offer) -> tuple[bool, bytes]:
    only_ipv6 = all(":" in uri.host for uri in offer.uris)
    return only_ipv6, hashlib.sha256(b"atmosphere relay order v1 " + mesh_id + offer.node_id.encode()).digest()


def _ways(offer: Offer, families: Collection[int]) -> list[ServerUri]:
    """IPv4 first, of the families that we have."""
    usable = [uri for uri in offer.uris if (6 if ":" in uri.host else 4) in families]
    return sorted(usable, key=lambda uri: ":" in uri.host)
