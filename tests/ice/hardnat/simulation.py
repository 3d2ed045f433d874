"""Two NATs and the searches behind them, in virtual time: no packets, only which port meets which."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from atmosphere.ice.hardnat.allocation import FIRST_PORT, LAST_PORT, allocation_of, port_after
from atmosphere.ice.hardnat.plan import FAN, NotTried, Plan, Side, plan
from atmosphere.ice.hardnat.ports import search_order
from atmosphere.ice.hardnat.search import Outcome, Search, Shot

EASY = Side("endpoint-independent")
HARD: Final = "address-and-port-dependent"
LATENCY = 0.04


def random_ports(rng: Random, low: int = FIRST_PORT, high: int = LAST_PORT) -> Iterator[int]:
    """An allocator that gives free ports of a range at random."""
    taken: set[int] = set()
    while True:
        port = rng.randint(low, high)
        if port not in taken:
            taken.add(port)
            yield port


def sequential_ports(rng: Random, step: int = 1) -> Iterator[int]:
    """An allocator that counts."""
    port = rng.randint(FIRST_PORT, LAST_PORT)
    while True:
        yield port
        port = port_after(port, step)


@dataclass
class Clock:
    """What is going to happen."""

    now: float = 100.0
    queue: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (self.now + seconds, next(self.numbers), action))

    def run(self, until: Callable[[], bool]) -> None:
        while not until() and self.queue:
            self.now, _, action = heapq.heappop(self.queue)
            action()


class Gate:
    """A NAT in front of one side: it maps each (socket, destination) anew, and lets in what was sent to.

    `hops` is the TTL with which a packet of its side just arrives there (a second NAT in front); `sensitive` gateways
    take a stray arrival for a flow of their own, after which the inside gets another port towards that sender.
    """

    def __init__(self, clock: Clock, ports: Iterator[int], *, hops: int = 1, sensitive: bool = False) -> None:
        self.clock, self.ports, self.hops, self.sensitive = clock, ports, hops, sensitive
        self.mapped: dict[tuple[int | None, int], int] = {}
        self.open: dict[tuple[int, int], int | None] = {}
        self.spoilt: set[int] = set()
        self.other: Gate
        self.search: Search
        self.loss = 0.0
        self.rng = Random(1)

    def foreign(self, per_second: float) -> None:
        """Other machines behind it open flows."""
        next(self.ports)
        self.clock.after(self.rng.expovariate(per_second), lambda: self.foreign(per_second))

    def sample(self, count: int = 6) -> list[tuple[int, int]]:
        """What a STUN server would see of fresh sockets, one after the other."""
        return [(0, next(self.ports)) for _ in range(count)]

    def start(self, search: Search) -> None:
        self.search = search
        self.tick()

    def tick(self) -> None:
        self.search.handle_timer(self.clock.now)
        for shot in self.search.shots():
            self.leave(shot)
        deadline = self.search.deadline()
        if deadline is not None:
            self.clock.after(max(0.0, deadline - self.clock.now), self.tick)

    def leave(self, shot: Shot) -> None:
        if shot.ttl is not None and shot.ttl < self.hops:
            return
        destination = shot.destination[1]
        port = self.map(shot.socket, destination)
        self.open[port, destination] = shot.socket
        if shot.ttl is None and self.rng.random() >= self.loss:
            self.clock.after(LATENCY, lambda: self.other.arrive(port, destination))

    def map(self, socket: int | None, destination: int) -> int:
        key = (socket, destination)
        if key not in self.mapped:
            self.mapped[key] = next(self.ports)
        return self.mapped[key]

    def arrive(self, source: int, port: int) -> None:
        if (port, source) in self.open:
            self.search.found(self.clock.now, self.open[port, source])
        elif self.sensitive:
            self.spoilt.add(source)


class EasyGate(Gate):
    """One port for everything; the sender's is its own."""

    PORT = 7777

    def map(self, socket: int | None, destination: int) -> int:
        return self.PORT if destination not in self.spoilt else next(self.ports)


def make_plan(ours: Side, theirs: Side) -> Plan:
    """The plan; an error where there is none."""
    found = plan(ours, theirs)
    assert not isinstance(found, NotTried), found
    return found


def hard_and_easy(clock: Clock, hard: Gate, easy: EasyGate, rng: Random) -> Search:
    """Run the search of a hard side and an easy one; how it went on the side that probes."""
    hard.other, easy.other = easy, hard
    given = hard.sample()
    side = Side(HARD, allocation_of(given))
    opening, probing = make_plan(side, EASY), make_plan(EASY, side)

    def begin() -> None:
        ports = search_order(side.allocation, [public for _, public in given], rng)
        easy.start(search_of(probing, 0, clock.now, ports))

    hard.start(search_of(opening, EasyGate.PORT, clock.now, iter(())))
    clock.after(LATENCY, begin)
    clock.run(lambda: _is_found(hard, easy) or _outcome(easy) is not None)
    return easy.search


def _is_found(hard: Gate, easy: Gate) -> bool:
    """Whichever side hears first answers, and that answer comes through."""
    if any(outcome is not None and outcome.how == "found" for outcome in map(_outcome, (hard, easy))):
        easy.search.found(hard.clock.now)
        return True
    return False


def _outcome(gate: Gate) -> Outcome | None:
    """How the search on that side ended, if it began and ended."""
    return gate.search.outcome if hasattr(gate, "search") else None


def search_of(which: Plan, port: int, now: float, ports: Iterator[int], address: str = "203.0.113.1") -> Search:
    """The search that a plan asks for."""
    return Search(
        which.part,
        (address, port),
        now,
        sockets=which.sockets,
        probes=which.probes,
        seconds=which.seconds,
        ports=ports,
    )


def two_sequential(clock: Clock, one: Gate, two: Gate) -> bool:
    """Run the fan-in of two sequential NATs; whether they met."""
    one.other, two.other = two, one
    sides = [Side(HARD, allocation_of(gate.sample())) for gate in (one, two)]

    def begin(gate: Gate, ours: Side, theirs: Side) -> None:
        target = port_after(theirs.allocation.last_port, theirs.allocation.step * FAN // 2)
        gate.start(search_of(make_plan(ours, theirs), target, clock.now, iter(())))

    begin(two, sides[1], sides[0])
    clock.after(LATENCY, lambda: begin(one, *sides))
    clock.run(lambda: any(_outcome(gate) is not None for gate in (one, two)))
    return any(outcome is not None and outcome.how == "found" for outcome in map(_outcome, (one, two)))
