"""Who does what in a search, or why there is none. Pure; both sides come to matching answers from the same facts.

    one side hard, the other easy   the hard side opens many ports to the easy side's one address ("open"); the easy
                                    side sends checks to ports of the hard side's until one is open ("probe")
    both predictable                each opens many ports to the one port that the other's middle socket is going to
                                    have ("fan")

A NAT is easy when it gives all destinations one port, hard when it does not. Where it is unknown what one side has, but
plain checks failed against a side that is known, it must be the opposite of that: two easy ones would have met. Where
both are unknown, one that keeps the local port is taken for the easy one, as nearly all hard ones change it; else one
with random ports for the hard one. Where ports can be predicted on both sides, both fan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from atmosphere.ice.hardnat.allocation import UNKNOWN, PortAllocation, port_after
from atmosphere.ice.nat import Behaviour

__all__ = ["FAN", "NotTried", "Part", "Plan", "Side", "is_hard", "leads", "meeting_port", "plan"]

Part = Literal["open", "probe", "fan"]
Kind = Literal["hard", "easy", "unknown"]

MANY, FEW, FAN = 256, 16, 64
"""Sockets: against random ports, where the ports are predicted, and on each side of two sequential NATs."""
MAX_PROBES, PROBES_AHEAD = 2000, 400
SECONDS = 20.0
FAN_SECONDS = 4.0

_HARD = ("address-dependent", "address-and-port-dependent")
_PREDICTABLE = ("sequential", "preserved")
_EASY = ("none", "endpoint-independent")


@dataclass(frozen=True, slots=True)
class Side:
    """What is known of one side; `searches` is False where its owner does not want this."""

    mapping: Behaviour = "unknown"
    allocation: PortAllocation = UNKNOWN
    udp_blocked: bool = False
    searches: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """Our part, the sockets that are opened where any are, the checks that are sent where any are, and for how long;
    whether it goes slowly from the start, and whether it rests on a NAT being what the other side's is not."""

    part: Part
    sockets: int
    probes: int
    seconds: float
    is_cautious: bool = False
    is_presumed: bool = False


@dataclass(frozen=True, slots=True)
class NotTried:
    """There is no use in a search, or it is not wanted; unless it `is_final`, more may be known before long."""

    reason: str
    is_final: bool = True


def plan(ours: Side, theirs: Side) -> Plan | NotTried:
    """Our part in the search, or why there is none.

    Two hard NATs need both allocations: as long as one is unknown and the other not random, the answer is "fan".
    """
    if not ours.searches or not theirs.searches:
        return NotTried(f"port guessing is switched off on {'this' if not ours.searches else 'the other'} side")
    if ours.udp_blocked or theirs.udp_blocked:
        return NotTried(f"no UDP gets out on {'this' if ours.udp_blocked else 'the other'} side")
    we_are, they_are = _kinds(ours, theirs)
    presumed = _is_presumed(ours) or _is_presumed(theirs)
    if we_are == they_are == "hard":
        return _both_hard(ours.allocation, theirs.allocation, is_presumed=presumed)
    if we_are == they_are == "easy":
        return NotTried("neither router changes ports, so something else is in the way: a firewall, most likely")
    if we_are == they_are:
        return NotTried("too few servers answered to tell what the two routers do", is_final=False)
    opens = we_are == "hard" or they_are == "easy"
    found = _one_hard("open" if opens else "probe", (ours if opens else theirs).allocation)
    return replace(found, is_presumed=presumed)


def meeting_port(allocation: PortAllocation, told: Sequence[int]) -> int:
    """The port that a side is going to have in the middle of its fan, or says it has; 0 where it says nothing."""
    if allocation.kind == "preserved":
        return told[0] if told else 0
    return port_after(allocation.last_port, allocation.step * FAN // 2)


def is_hard(mapping: Behaviour) -> bool:
    """Whether it is known that destinations get different ports."""
    return _kind(mapping) == "hard"


def leads(part: Part, *, is_first: bool) -> bool:
    """Whether the side with that part begins: the one that probes, since it has to go second; else the first of the two
    by whatever order both know."""
    return part == "probe" or (part == "fan" and is_first)


def _kinds(ours: Side, theirs: Side) -> tuple[Kind, Kind]:
    kinds = _kind(ours.mapping), _kind(theirs.mapping)
    if "easy" in kinds or "unknown" not in kinds:
        return kinds
    allocations = ours.allocation.kind, theirs.allocation.kind
    keeps = [kind == "unknown" and how == "preserved" for kind, how in zip(kinds, allocations, strict=True)]
    scatters = [how == "random" for how in allocations]
    if keeps[0] != keeps[1]:
        return ("easy", "hard") if keeps[0] else ("hard", "easy")
    if kinds == ("unknown", "unknown") and scatters[0] != scatters[1]:
        return ("hard", "easy") if scatters[0] else ("easy", "hard")
    # Two fans meet whatever their mappings are: only new sockets take part, and each sends to one address.
    return kinds if any(scatters) else ("hard", "hard")


def _is_presumed(side: Side) -> bool:
    return side.mapping == "unknown" and side.allocation.kind != "preserved"


def _kind(mapping: Behaviour) -> Kind:
    return "hard" if mapping in _HARD else "easy" if mapping in _EASY else "unknown"


def _one_hard(part: Part, hard: PortAllocation) -> Plan:
    if hard.kind in _PREDICTABLE:
        return Plan(part, FEW, PROBES_AHEAD, SECONDS)
    return Plan(part, MANY, MAX_PROBES, SECONDS)


def _both_hard(ours: PortAllocation, theirs: PortAllocation, *, is_presumed: bool) -> Plan | NotTried:
    for side, allocation in (("this", ours), ("the other", theirs)):
        if allocation.kind == "random":
            return NotTried(f"both routers change ports, and the one on {side} side at random: guessing is hopeless")
    return Plan("fan", FAN, 0, FAN_SECONDS, is_presumed=is_presumed)
