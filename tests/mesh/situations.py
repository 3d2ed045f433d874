"""Situations for the tests of explaining: two homes, and what is different in each."""

from __future__ import annotations

from typing import Any, cast, get_args

from atmosphere.ice.candidate import Candidate, CandidateType
from atmosphere.ice.events import PairReport
from atmosphere.ice.nat import Behaviour, NatBehaviour, type_of
from atmosphere.mesh.info import PathEndInfo, PathInfo
from atmosphere.mesh.situation import Side, Situation

END = PathEndInfo("host", "192.0.2.1", 7777)
DIRECT = PathInfo("direct", "udp", 4, END, END)
RELAYED = PathInfo("relay", "udp", 4, PathEndInfo("relay", "198.51.100.7", 50000), END)

STRICT: Behaviour = "address-and-port-dependent"


def nat(mapping: Behaviour, filtering: Behaviour = STRICT) -> NatBehaviour:
    return NatBehaviour(mapping, filtering, None, type_of(mapping, filtering, asked=1, answered=1))


OPEN, CONE, SYMMETRIC = nat("none"), nat("endpoint-independent"), nat(STRICT)
FULL_CONE = nat("endpoint-independent", "endpoint-independent")


def candidate(kind: str, address: str, port: int = 7777, related: str | None = None) -> Candidate:
    assert kind in get_args(CandidateType)
    priority = 100 if kind == "relay" else 110 << 24
    related_port = None if related is None else 7777
    return Candidate("f", 1, "udp", priority, address, port, cast("CandidateType", kind), related, related_port)


HOST, PEER_HOST = candidate("host", "192.168.1.10"), candidate("host", "192.168.7.20")


def pair(
    local: Candidate = HOST, remote: Candidate = PEER_HOST, state: str = "failed", why: str = "no answer", **more: Any
) -> PairReport:
    relayed = local.is_relayed or remote.is_relayed
    fields = {"base": 1, "selected": False, "relayed": relayed, "rtt": None, "checks_sent": 7}
    return PairReport(local=local, remote=remote, state=state, why=why, **fields | more)


def side(behaviour: NatBehaviour = CONE, number: int = 1, **changes: Any) -> Side:
    """A home like any other, unless it is changed."""
    address = {1: "192.168.1.10", 7: "192.168.7.20"}[number]
    usual: dict[str, Any] = {
        "nat": behaviour,
        "policy": "any",
        "udp": True,
        "mapping": "none",
        "lan": (address, 7777),
        "public": frozenset({f"203.0.113.{number}"}),
        "families": frozenset({4}),
    }
    return Side(**usual | changes)


def relayed(here: NatBehaviour = CONE, there: NatBehaviour = CONE, /, **changes: Any) -> Situation:
    """bob is reached over a relay although a direct path was tried."""
    usual: dict[str, Any] = {
        "name": "bob",
        "state": "connected",
        "here": side(here),
        "there": side(there, 7),
        "path": RELAYED,
        "pairs": (pair(),),
    }
    return Situation(**usual | changes)


def away(**changes: Any) -> Situation:
    """bob is not reached at all."""
    return relayed(**{"state": "offline", "path": None, "here": side(CONE), "there": side(CONE, 7)} | changes)
