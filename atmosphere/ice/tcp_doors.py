"""On how many doors each peer may have us knock: its TCP addresses are believed, a few of them. Pure.

A session has so few already (`TcpPlan`), but a peer may begin one after the other, each with other addresses, and so
have us go through all the ports of a network that only we can reach.
"""

from __future__ import annotations

from collections import OrderedDict

from signaling.limits import KeyedBuckets

__all__ = ["AT_ONCE", "Doors"]

AT_ONCE, EVERY = 24, 30.0
"""New addresses of one peer at once, and the seconds until one more: a machine has a few, and others after a move."""
MAX_PEERS = 1024
REMEMBERED = 16384
"""Doors of all peers; the one that was tried least lately is forgotten first, and so is a new one next time."""

Address = tuple[str, int]


class Doors:
    """Those that peers named lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, Address], None] = OrderedDict()
        self._buckets = KeyedBuckets(1 / EVERY, AT_ONCE, MAX_PEERS)

    def admits(self, peer: str, address: Address, now: float) -> bool:
        """Whether we connect to `address` because `peer` says so: it said so before, or it is not one too many."""
        door = (peer, address)
        if door not in self._known and not self._buckets.take(peer, now):
            return False
        self._known[door] = None
        self._known.move_to_end(door)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True
