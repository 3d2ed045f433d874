"""Which ports of a hard NAT to try, in which order. Pure.

Of a sequential NAT the next ones are known, and of one that preserves ports those that the other side says it opens.
Then come those near the ports that were seen: many NATs give each customer a block, and where they do not, these are as
good as any. Then the others at random, none of them twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from atmosphere.ice.hardnat.allocation import FIRST_PORT, LAST_PORT, PortAllocation, port_after

__all__ = ["NEAR", "WINDOW", "search_order"]

WINDOW = 64
"""Ports ahead of the last one that are expected next, where other machines use the NAT too."""
NEAR = 64
"""Ports on each side of one that was seen."""


def search_order(allocation: PortAllocation, seen: Sequence[int], rng: Random) -> Iterator[int]:
    """Every port once, the likely ones first; `seen` are ports that are taken already, or (preserved) about to be."""
    done = set() if allocation.kind == "preserved" else set(seen)
    for port in _likely(allocation, seen):
        if port not in done:
            done.add(port)
            yield port
    while len(done) <= LAST_PORT - FIRST_PORT:
        port = rng.randint(FIRST_PORT, LAST_PORT)
        if port not in done:
            done.add(port)
            yield port


def _likely(allocation: PortAllocation, seen: Sequence[int]) -> Iterator[int]:
    if allocation.kind == "sequential":
        for ahead in range(1, WINDOW + 1):
            yield port_after(allocation.last_port, ahead * allocation.step)
    if allocation.kind == "preserved":
        yield from (port for port in seen if FIRST_PORT <= port <= LAST_PORT)
    for distance in range(1, NEAR + 1):
        for port in seen:
            for near in (port + distance, port - distance):
                if FIRST_PORT <= near <= LAST_PORT:
                    yield near
