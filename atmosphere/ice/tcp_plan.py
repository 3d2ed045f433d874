"""When a session connects over TCP, and to which of the remote's candidates (RFC 6544 §5.2, §6). Pure.

UDP goes first: connections begin a little after the first checks, only while there is no direct path over UDP, and end
a while after one is there. While there is no path, or a relayed one, each candidate is tried again and again with
back-off. A connection that stopped carrying data cannot be checked again, as a pair of UDP can: another is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import PairReport
from atmosphere.ice.pair import PathClass

__all__ = ["CONNECT_TIMEOUT", "TcpPlan", "is_allowed"]

HEAD_START = 0.3
"""Seconds that UDP has before the first connection."""
PACE = 0.05
"""Between two new connections (Ta of RFC 8445 §14.2)."""
CONNECT_TIMEOUT = 5.0
CONNECTING = 4
"""Connections of one session under way at once."""
MAX_REMOTES = 8
"""A remote that names more addresses than a machine has shall not make us knock on all doors of a network."""
BACK_OFF: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 120.0)
"""A relayed link tries for ever, and an idle one shall not cost more for that than for its keep-alives."""
LINGER = 20.0
"""Seconds a direct path over UDP must have been there until the connections end that it made unnecessary."""
WELL_KNOWN: Final = 1024
_WEB: Final = (80, 443)


class State(StrEnum):
    """Where an attempt stands; the words are those of pairs where they mean the same."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"


def is_allowed(remote: Candidate) -> bool:
    """Whether a peer may make us connect there: no service on a well-known port but a web server's, as in browsers."""
    return remote.port >= WELL_KNOWN or remote.port in _WEB


@dataclass(slots=True, eq=False)
class Attempt:
    """One remote candidate, from `local`."""

    local: Candidate
    remote: Candidate
    due_at: float
    state: State = State.WAITING
    failures: int = 0
    tries: int = 0
    why: str = ""


class TcpPlan:
    """What one session does about the TCP candidates of its remote; told what happens, it says what to do."""

    def __init__(self, now: float) -> None:
        self.is_barred = False
        """Whether no connection may begin: whom we connect to sees our address."""
        self._begins_at = now + HEAD_START
        self._next_at = -math.inf
        self._attempts: dict[tuple[str, int], Attempt] = {}
        self._path_class: int | None = None
        self._direct_since = math.inf

    def add_remote(self, local: Candidate, remote: Candidate, now: float) -> bool:
        """Take a candidate of the remote's and the one of ours to reach it from; False for one too many, or known."""
        if (known := self._attempts.get(remote.endpoint)) is not None:
            known.local = local
            return False
        if len(self._attempts) >= MAX_REMOTES or not is_allowed(remote):
            return False
        self._attempts[remote.endpoint] = Attempt(local, remote, due_at=max(now, self._begins_at))
        return True

    # what happened

    def selected(self, path_class: int, now: float) -> None:
        """Data goes over a pair of that class now (`CandidatePair.path_class`)."""
        before, self._path_class = self._path_class, path_class
        self._direct_since = min(self._direct_since, now) if path_class == PathClass.DIRECT_UDP else math.inf
        if before == PathClass.DIRECT_TCP and path_class < before:
            self._start_again(now)
        elif before == PathClass.DIRECT_UDP and path_class < before:
            self._hurry(now)

    def lost(self, now: float) -> None:
        """The path fell silent, and there is no other."""
        self._path_class, self._direct_since = None, math.inf
        self._start_again(now)

    def connected(self, remote: tuple[str, int]) -> None:
        """A connection stands."""
        attempt = self._attempts[remote]
        attempt.state, attempt.why = State.CONNECTED, ""

    def worked(self, remote: tuple[str, int]) -> None:
        """The remote answered over it."""
        self._attempts[remote].failures = 0

    def failed(self, remote: tuple[str, int], why: str, now: float) -> None:
        """There is no connection, or it ended; `why` is one line."""
        attempt = self._attempts[remote]
        attempt.state, attempt.why = State.FAILED, why
        attempt.due_at = now + BACK_OFF[min(attempt.failures, len(BACK_OFF) - 1)]
        attempt.failures += 1

    def _hurry(self, now: float) -> None:
        for attempt in self._attempts.values():
            if attempt.state in (State.WAITING, State.FAILED):
                attempt.failures, attempt.due_at = 0, now

    def _start_again(self, now: float) -> None:
        for attempt in self._attempts.values():
            if attempt.state is State.CONNECTED:
                attempt.state, attempt.why = State.FAILED, "fell silent"
        self._hurry(now)

    # what to do

    def take(self, now: float) -> tuple[Candidate, Candidate] | None:
        """From where to connect to where now, if there is something; call again until there is nothing."""
        if not self._may_connect or now < self._next_at:
            return None
        due = [one for one in self._attempts.values() if self._is_idle(one) and one.due_at <= now]
        if not due:
            return None
        attempt = max(due, key=lambda one: (one.state is State.WAITING, one.remote.priority))
        attempt.state = State.CONNECTING
        attempt.tries += 1
        self._next_at = now + PACE
        return attempt.local, attempt.remote

    def has_no_need(self, now: float) -> bool:
        """Whether every connection that we made should end, since UDP has done without for a while; said once."""
        if now < self._direct_since + LINGER:
            return False
        self._direct_since = math.inf
        return True

    @property
    def is_direct(self) -> bool:
        """Whether data goes directly over UDP, so that connections under way may be given up."""
        return self._path_class == PathClass.DIRECT_UDP

    def deadline(self) -> float:
        """When to look again; infinite for never."""
        if self._path_class == PathClass.DIRECT_UDP:
            return self._direct_since + LINGER
        if not self._may_connect:
            return math.inf
        due = min((one.due_at for one in self._attempts.values() if self._is_idle(one)), default=math.inf)
        return max(due, self._next_at)

    @property
    def _may_connect(self) -> bool:
        if self.is_barred:
            return False
        under_way = sum(one.state is State.CONNECTING for one in self._attempts.values())
        return (self._path_class is None or self._path_class < PathClass.DIRECT_TCP) and under_way < CONNECTING

    @staticmethod
    def _is_idle(attempt: Attempt) -> bool:
        return attempt.state in (State.WAITING, State.FAILED)

    def report(self) -> list[PairReport]:
        """The attempts that have no connection now, and so no pair, as pairs."""
        return [_report(one) for one in self._attempts.values() if one.state is not State.CONNECTED]


def _report(attempt: Attempt) -> PairReport:
    state = "in progress" if attempt.state is State.CONNECTING else attempt.state.value
    return PairReport(attempt.local, attempt.remote, 0, state, False, False, None, attempt.tries, attempt.why)
