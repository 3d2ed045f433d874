"""What an agent says (events, past tense), what it wants sent, and what it reports (RFC 8445's words)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from atmosphere.ice.candidate import Candidate
    from atmosphere.ice.pair import CandidatePair

__all__ = [
    "AgentState",
    "ConsentExpired",
    "IceEvent",
    "IceFailed",
    "PairReport",
    "PathLost",
    "PathRestored",
    "PathSelected",
    "RemoteSeen",
    "Transmit",
]

AgentState = Literal["checking", "connected", "disconnected", "failed", "closed"]


@dataclass(frozen=True, slots=True)
class Transmit:
    """A datagram to send from a base (the shell's id of a socket or allocation)."""

    base: int
    data: bytes
    destination: tuple[str, int]

    @property
    def is_check(self) -> bool:
        """Whether it asks rather than answers."""
        return self.data[:2] == b"\x00\x01"


@dataclass(frozen=True, slots=True)
class RemoteSeen:
    """The remote agent proved itself for the first time, by a check that came from `source` to `base`."""

    base: int
    source: tuple[str, int]


@dataclass(frozen=True, slots=True)
class PathSelected:
    """Data goes over `pair` from now on; `previous` is None the first time, and after its base went away."""

    pair: CandidatePair
    previous: CandidatePair | None


@dataclass(frozen=True, slots=True)
class PathLost:
    """Nothing came back over the path for `quiet_seconds` and no other pair answers; every pair is being tried."""

    quiet_seconds: float


@dataclass(frozen=True, slots=True)
class PathRestored:
    """The remote answers again after `PathLost`, over the selected pair."""


@dataclass(frozen=True, slots=True)
class ConsentExpired:
    """No valid answer for 30 s: the agent has failed and sends nothing any more (RFC 7675 §5.1)."""


@dataclass(frozen=True, slots=True)
class IceFailed:
    """No pair was ever selected within the time allowed; `reason` is one line for a person."""

    reason: str


IceEvent = RemoteSeen | PathSelected | PathLost | PathRestored | ConsentExpired | IceFailed


@dataclass(frozen=True, slots=True)
class PairReport:
    """How one pair fared: its ends, its state, checks sent, smoothed RTT in seconds, and why it failed."""

    local: Candidate
    remote: Candidate
    base: int
    state: str
    selected: bool
    relayed: bool
    rtt: float | None
    checks_sent: int
    why: str
