"""Where a search may send, and whether it is needed: judged by what the session has seen for itself. Pure.

The other side says at which address its NAT is to be probed. A member could name somebody else's. What nobody can forge
is an answer to a check of ours: it repeats 96 random bits that were sent to that address, through a relay if need be;
but not through one of the member's own, which sees the bits and says who answered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from atmosphere.ice.events import PairReport
from atmosphere.udp.address_class import address_class

__all__ = ["CAUTIOUS_PROBES", "CAUTIOUS_SOCKETS", "Trust", "is_needed", "trust"]

Trust = Literal["proven", "named"]

CAUTIOUS_SOCKETS, CAUTIOUS_PROBES = 64, 300
"""What is opened and sent, at the slow rate, towards an address that the peer's candidates named but never proved."""

ENOUGH_CHECKS = 4
"""Unanswered checks of one pair that are enough: they take two seconds, and a pair that could work needs one or two."""

_CLASSES = ("public", "documentation", "benchmarking")


def trust(address: str, pairs: Sequence[PairReport], lent: Collection[int] = ()) -> Trust | None:
    """How sure it is that the peer itself has that IPv4 address: it answered there, its candidates said so, or not at
    all. Addresses that mean something else to us than to the peer are never right.

    Answers to the bases in `lent`, the peer's own relays, prove nothing.
    """
    try:
        usable = ":" not in address and address_class(address) in _CLASSES
    except ValueError:
        return None
    there = [
        pair for pair in pairs if pair.remote.address == address and pair.remote.type in ("srflx", "prflx", "host")
    ]
    if not usable or not there:
        return None
    if any(pair.state == "succeeded" and pair.base not in lent for pair in there):
        return "proven"
    return "named" if any(pair.remote.type == "srflx" for pair in there) else None


def is_needed(pairs: Sequence[PairReport]) -> bool:
    """Whether plain checks have had their turn: the path is relayed, and each direct pair was given up or nearly so."""
    in_use = next((pair for pair in pairs if pair.selected), None)
    if in_use is None or not in_use.relayed:
        return False
    direct = [pair for pair in pairs if not pair.relayed]
    return all(pair.state == "failed" or pair.why or pair.checks_sent >= ENOUGH_CHECKS for pair in direct)
