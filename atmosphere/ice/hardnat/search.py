"""A search: which datagram leaves from which socket when, and when it is over. Pure.

`handle_timer(now)` when `deadline()` says so, then send the `shots()`. `found`, `answered` and `unanswered` tell it
what came of them; `outcome` is set once it is over.

The side that opens sends from each of its sockets in rounds. The first round has a TTL too short to arrive: it opens
our own NAT, and no more, for some gateways take a stray arrival for a flow of their own and give its ports away. Later
rounds arrive, since behind two NATs of ours the first may have died between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from atmosphere.ice.hardnat.plan import Part

__all__ = ["LOW_TTL", "Outcome", "Search", "Shot"]

LOW_TTL = 5
"""Hops: past our own routers and our provider's, not to the other side."""
RATE, SLOW_RATE = 100.0, 15.0
"""Probes a second, and when the control server falls silent: some NATs lock out whoever opens 20 new flows a second."""
OPEN_RATE, FAN_RATE = 512.0, 4096.0
"""Sockets a second of a round; those of a fan go at once, lest another machine's flow takes the port in the middle."""
TICK = 0.02
ROUNDS = (0.0, 5.0, 10.0, 15.0)
ROUNDS_OF_FEW = (0.0, 1.0, 3.0, 6.0, 10.0, 15.0)
ROUNDS_OF_FAN = (0.0, 0.4, 1.0, 2.0, 3.0)
"""When each round begins: late enough for nearly all of a search to happen under the first, where there are many."""
FEW = 32
UNANSWERED = 2
"""Control questions in a row without an answer, each a second, that mean that the NAT or the provider had enough."""

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Shot:
    """One check to send: from which of the opened sockets (None: the node's own), where to, with which TTL."""

    socket: int | None
    destination: Address
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended, after how many seconds and datagrams; `socket` is the one that was found, if one of ours was."""

    how: Literal["found", "exhausted", "stopped"]
    seconds: float
    sent: int
    socket: int | None = None


class Search:
    """One side's part, from `now` on. `ports` are tried by a side that probes; others send to `target` alone."""

    def __init__(
        self,
        part: Part,
        target: Address,
        now: float,
        *,
        sockets: int,
        probes: int,
        seconds: float,
        ports: Iterator[int],
    ) -> None:
        self.part = part
        self.outcome: Outcome | None = None
        self.sent = 0
        self._target = target
        self._began, self._ends = now, now + seconds
        self._ports = ports
        self._probes = probes
        self._sockets = sockets if part != "probe" else 0
        self._rounds = _rounds(part, sockets)
        self._round, self._next_socket = 0, 0
        self._due = now
        self._rate = {"probe": RATE, "open": OPEN_RATE, "fan": FAN_RATE}[part]
        self._credit = 0.0
        self._credited = now
        self._unanswered = 0
        self._shots: list[Shot] = []

    @property
    def is_slow(self) -> bool:
        """Whether it goes slowly, since the control server fell silent."""
        return self._rate == SLOW_RATE

    def slow_down(self) -> None:
        """Go slowly from now on."""
        self._rate = SLOW_RATE
        self._credit = 0.0

    def answered(self) -> None:
        """The control server answered."""
        self._unanswered = 0

    def unanswered(self) -> None:
        """The control server did not answer within a second."""
        self._unanswered += 1
        if self._unanswered >= UNANSWERED:
            self.slow_down()

    def found(self, now: float, socket: int | None = None) -> None:
        """The other side's checks come through."""
        self._end("found", now, socket)

    def stop(self, now: float) -> None:
        """It is not wanted any more."""
        self._end("stopped", now)

    def deadline(self) -> float | None:
        """When `handle_timer` wants to be called; None when it is over."""
        return None if self.outcome is not None else min(self._due, self._ends)

    def shots(self) -> list[Shot]:
        """What to send now; each is given once."""
        taken, self._shots = self._shots, []
        return taken

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.outcome is not None or now < min(self._due, self._ends):
            return
        if now >= self._ends:
            self._end("exhausted", now)
            return
        for _ in range(self._earned(now)):
            if not self._shoot(now):
                break

    def _earned(self, now: float) -> int:
        """How many may go now. What was missed is made up for by two ticks at most: no stall shall end in a burst."""
        most = max(2.0, 2 * TICK * self._rate)
        self._credit = min(most, self._credit + (now - self._credited) * self._rate) if self.sent else 1.0
        self._credited = now
        self._due = now + max(TICK, (1.0 - self._credit % 1.0) / self._rate)
        count = int(self._credit)
        self._credit -= count
        return count

    def _shoot(self, now: float) -> bool:
        """Send one; False when nothing is left to send at this time."""
        return self._probe() if self.part == "probe" else self._open(now)

    def _probe(self) -> bool:
        port = next(self._ports, None) if self.sent < self._probes else None
        if port is None:
            # What is on its way may still arrive, and the other side's later rounds come through what we opened.
            self._due = self._ends
            return False
        self._send(Shot(None, (self._target[0], port)))
        return True

    def _open(self, now: float) -> bool:
        if self._next_socket >= self._sockets:
            self._round, self._next_socket = self._round + 1, 0
        if self._round >= len(self._rounds):
            self._due = self._ends
            return False
        begins = self._began + self._rounds[self._round]
        if now < begins:
            self._due = begins
            return False
        self._send(Shot(self._next_socket, self._target, LOW_TTL if self._round == 0 else None))
        self._next_socket += 1
        return True

    def _send(self, shot: Shot) -> None:
        self.sent += 1
        self._shots.append(shot)

    def _end(self, how: Literal["found", "exhausted", "stopped"], now: float, socket: int | None = None) -> None:
        if self.outcome is None:
            self.outcome = Outcome(how, now - self._began, self.sent, socket)


def _rounds(part: Part, sockets: int) -> Sequence[float]:
    if part == "fan":
        return ROUNDS_OF_FAN
    return ROUNDS_OF_FEW if sockets <= FEW else ROUNDS
