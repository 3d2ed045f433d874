"""The way data goes, for people: direct or by relay, and both ends of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from atmosphere.ice.pair import CandidatePair

__all__ = ["Path", "PathEnd", "path_of"]


@dataclass(frozen=True)
class PathEnd:
    """One end of a path."""

    type: Literal["host", "srflx", "prflx", "relay"]
    address: str
    port: int


@dataclass(frozen=True)
class Path:
    """The way data goes: direct or by relay, how the relay is reached, the IP version, and both ends."""

    kind: Literal["direct", "relay"]
    protocol: Literal["udp", "tcp", "ws"]
    family: Literal[4, 6]
    local: PathEnd
    remote: PathEnd


def path_of(pair: CandidatePair) -> Path:
    """The path over `pair`; its protocol is how our own relay is reached, where there is one."""
    local, remote = pair.local, pair.remote
    via = pair.base_candidate.relay_protocol or pair.base_candidate.transport
    return Path(
        kind="relay" if pair.is_relayed else "direct",
        protocol="udp" if via == "udp" else ("ws" if via == "ws" else "tcp"),
        family=remote.family,
        local=PathEnd(local.type, local.address, local.port),
        remote=PathEnd(remote.type, remote.address, remote.port),
    )
