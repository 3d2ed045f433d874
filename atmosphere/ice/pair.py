"""Candidate pairs: what a check list is made of (RFC 8445 §6.1.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import PairReport

__all__ = ["CandidatePair", "PairState", "PathClass", "can_pair", "pair_priority", "same_reach"]

_RTT_GAIN = 1 / 8
_WAYS = ((None, None), ("active", "passive"), ("passive", "active"), ("so", "so"))


class PathClass(IntEnum):
    """What comes before everything else in the order of preference: direct before relayed, UDP before TCP."""

    RELAYED = 0
    DIRECT_TCP = 1
    DIRECT_UDP = 2


class PairState(StrEnum):
    """Where a pair stands. RFC 8445's Frozen is left out: with one component in one stream it only delays checks."""

    WAITING = "waiting"
    IN_PROGRESS = "in progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def pair_priority(controlling: int, controlled: int) -> int:
    """The pair's priority from those of the controlling and the controlled side's candidates (RFC 8445 §6.1.2.3)."""
    return (min(controlling, controlled) << 32) + 2 * max(controlling, controlled) + (controlling > controlled)


def can_pair(local: Candidate, remote: Candidate) -> bool:
    """Whether a packet can get from one to the other: same family, and neither loopback nor link-local alone.

    Over TCP who is active goes with who is passive, and simultaneous-open with its like (RFC 6544 §6.2).
    """
    if local.transport != remote.transport or (local.tcp_type, remote.tcp_type) not in _WAYS:
        return False
    return same_reach(local.address, remote.address)


def same_reach(one: str, other: str) -> bool:
    """Whether packets between two addresses are possible: one family, and neither loopback nor link-local alone."""
    return (":" in one) == (":" in other) and _reach(one) == _reach(other)


def _reach(address: str) -> str:
    if address.startswith("127.") or address == "::1":
        return "loopback"
    # IPv4 link-local is left alone: where it is all that there is, routers do pass it on to the local network.
    return "link" if address.startswith(("fe8", "fe9", "fea", "feb")) and ":" in address else ""


@dataclass(slots=True, eq=False)
class CandidatePair:
    """A base of ours and an address of the remote's.

    `local` is the true local candidate: the base's own at first, and once the remote has said what it sees, the server-
    or peer-reflexive one. Times are monotonic seconds; `due_at` is when a round of checks may start by itself,
    `in_round` whether one is on; `failures` counts the rounds in a row that nobody answered, `deaths` how often it fell
    silent while selected; until `distrusted_until` no better rank makes us return to it, and until `unfit_until`
    nothing does, for data did not get through although checks did. `unsent` is why this machine could not even send.
    """

    base: int
    base_candidate: Candidate
    remote: Candidate
    local: Candidate
    due_at: float
    state: PairState = PairState.WAITING
    in_round: bool = False
    authenticated: bool = False
    nominated: bool = False
    rtt: float | None = None
    rtt_samples: int = 0
    checks_sent: int = 0
    first_sent_at: float = math.inf
    last_sent_at: float = -math.inf
    failures: int = 0
    answered_at: float = -math.inf
    deaths: int = 0
    distrusted_until: float = -math.inf
    unfit_until: float = -math.inf
    why: str = ""
    unsent: str = ""

    @property
    def key(self) -> tuple[int, tuple[str, int]]:
        """What makes a pair one of its kind: the base, and the remote's address and port."""
        return (self.base, self.remote.endpoint)

    @property
    def is_valid(self) -> bool:
        """Whether the remote answered over it (and did not fall silent since)."""
        return self.state is PairState.SUCCEEDED

    @property
    def is_relayed(self) -> bool:
        """Whether either end is a relay."""
        return self.base_candidate.is_relayed or self.remote.is_relayed

    @property
    def is_without_udp(self) -> bool:
        """Whether it leaves here over TCP, directly or by way of a relay of ours: it works where UDP is blocked."""
        return self.base_candidate.transport == "tcp" or self.base_candidate.relay_protocol not in (None, "udp")

    @property
    def path_class(self) -> PathClass:
        """Which kind of path it is; TCP to a relay of ours is still a relay."""
        if self.is_relayed:
            return PathClass.RELAYED
        is_tcp = "tcp" in (self.base_candidate.transport, self.remote.transport)
        return PathClass.DIRECT_TCP if is_tcp else PathClass.DIRECT_UDP

    def rank(self, controlling: bool) -> tuple[int, int]:
        """How good it is, to compare: by the class of its path, then by priority, seen from that role."""
        ours, theirs = self.local.priority, self.remote.priority
        priority = pair_priority(ours, theirs) if controlling else pair_priority(theirs, ours)
        return (self.path_class, priority)

    def sample_rtt(self, seconds: float) -> None:
        """Take a measured round trip into the smoothed one."""
        self.rtt_samples += 1
        self.rtt = seconds if self.rtt is None else self.rtt + _RTT_GAIN * (seconds - self.rtt)

    def report(self, *, selected: bool) -> PairReport:
        """The pair as it stands, for people."""
        return PairReport(
            local=self.local,
            remote=self.remote,
            base=self.base,
            state=self.state.value,
            selected=selected,
            relayed=self.is_relayed,
            rtt=self.rtt,
            checks_sent=self.checks_sent,
            why=self.why,
        )
