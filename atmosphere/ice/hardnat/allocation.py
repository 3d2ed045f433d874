"""How a NAT chooses public ports (RFC 4787 §4.2), concluded from those it gave one after another. Pure.

    preserved    the public port of a new socket is its local one
    sequential   each new mapping gets the port `step` further on (other machines' flows take some in between)
    random       anything else

Where it is none of these to be seen, it is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

__all__ = ["FIRST_PORT", "LAST_PORT", "UNKNOWN", "AllocationKind", "PortAllocation", "allocation_of", "port_after"]

AllocationKind = Literal["preserved", "sequential", "random", "unknown"]

FIRST_PORT, LAST_PORT = 1024, 65535
"""What NATs give to ports from 1024 on (RFC 4787 §4.2.2)."""
PORTS = LAST_PORT - FIRST_PORT + 1

ENOUGH = 3
"""Mappings to see before it is called sequential or random: two random ports are close once in 500 times, three never.
"""
CLOSE = 64
"""Ports between two mappings made within milliseconds, at most, where they are given in sequence."""


@dataclass(frozen=True, slots=True)
class PortAllocation:
    """The kind, the signed step of a sequential one, and the port that was given last (0: none was seen)."""

    kind: AllocationKind = "unknown"
    step: int = 0
    last_port: int = 0


UNKNOWN = PortAllocation()


def allocation_of(given: Sequence[tuple[int, int]]) -> PortAllocation:
    """What the NAT does, from (local port, public port) of its mappings in the order in which they were made."""
    if not given:
        return UNKNOWN
    last = given[-1][1]
    if all(local == public for local, public in given):
        return PortAllocation("preserved", 0, last)
    ports = list(dict.fromkeys(public for _, public in given))
    if len(ports) < ENOUGH:
        return PortAllocation("unknown", 0, last)
    steps = [after - before for before, after in pairwise(ports)]
    close = [step for step in steps if abs(step) <= CLOSE]
    # One may be far off: where the range begins again, or when a packet overtook another.
    way = sum(close)
    if len(close) >= max(ENOUGH - 1, len(steps) - 1) and way:
        return PortAllocation("sequential", math.gcd(*close) * (1 if way > 0 else -1), last)
    return PortAllocation("random", 0, last)


def port_after(port: int, steps: int) -> int:
    """The port that many ports further on, beginning again at the other end of the range."""
    return (port - FIRST_PORT + steps) % PORTS + FIRST_PORT
