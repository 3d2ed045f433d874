"""A network in memory: hosts, NATs of every kind, a relay, a virtual clock. No sockets, no root, no waiting.

Segments join addresses; a NAT stands between two of them. Behaviours are RFC 4787's: mapping and filtering are
endpoint-independent ("EI"), address-dependent ("AD") or address-and-port-dependent ("APD").
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from atmosphere.errors import DecodeError
from atmosphere.ice.agent import Agent
from atmosphere.ice.candidate import Candidate, candidate_priority, foundation
from atmosphere.ice.checklist import PathPolicy
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import IceEvent
from atmosphere.stun.message import Class, decode, is_stun
from tests.lab.translation import SHORT, Allocation, NatKind, Table

Address = tuple[str, int]
Behaviour = Literal["EI", "AD", "APD"]
STUN_SERVER: Address = ("198.51.100.1", 3478)
RELAY = "198.51.100.2"


@dataclass(frozen=True, slots=True)
class Packet:
    source: Address
    destination: Address
    data: bytes

    def __len__(self) -> int:
        """Bytes with the headers of IP and UDP."""
        return len(self.data) + (48 if ":" in self.destination[0] else 28)


class Network:
    """The clock, the queue of what is going to happen, and the weather."""

    def __init__(self, *, seed: int = 1, latency: float = 0.01, loss: float = 0.0, mtu: int | None = None) -> None:
        self.now = 1000.0
        self.latency = latency
        self.loss = loss
        self.mtu = mtu
        self.random = random.Random(seed)
        self.internet = Segment(self)
        self.drops: list[Callable[[Packet], bool]] = []
        self.delay: Callable[[Packet], float] = lambda packet: 0.0
        self.relay_ports = itertools.count(50000)
        self.relays: dict[int, Callable[[Packet], None]] = {}
        self.internet.receivers[RELAY] = self._relay
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), action))

    def _relay(self, packet: Packet) -> None:
        if packet.destination[1] in self.relays:
            self.relays[packet.destination[1]](packet)

    def carry(self, packet: Packet, deliver: Callable[[Packet], None]) -> None:
        """Move a packet across the internet: latency, loss, and whatever the test does to it."""
        if any(drop(packet) for drop in self.drops) or self.random.random() < self.loss:
            return
        if self.mtu is not None and len(packet) > self.mtu:
            return  # a black hole: nobody says a word
        self.at(self.now + self.latency + self.delay(packet), lambda: deliver(packet))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; True as soon as `until` holds."""
        end = self.now + seconds
        while not until():
            if not self._queue or self._queue[0][0] > end:
                self.now = end
                return until()
            self.now, _, action = heapq.heappop(self._queue)
            action()
        return True


class Segment:
    """Addresses that reach each other; the rest goes to the gateway."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.receivers: dict[str, Callable[[Packet], None]] = {}
        self.prefixes: dict[str, Callable[[Packet], None]] = {}
        self.gateway: Nat | Firewall | None = None

    def route(self, packet: Packet) -> None:
        address = packet.destination[0]
        receiver = self.receivers.get(address) or next(
            (receiver for prefix, receiver in self.prefixes.items() if address.startswith(prefix)), None
        )
        if receiver is not None:
            self.network.carry(packet, receiver)
        elif self.gateway is not None:
            self.gateway.outbound(packet)

    def seen_as(self, source: Address, destination: Address) -> Address:
        """Where `source` appears to come from at a public server: what STUN tells."""
        return source if self.gateway is None else self.gateway.seen_as(source, destination)


class Nat:
    """A NAT box with an inside segment of its own; the table is the laboratory's."""

    def __init__(
        self,
        outside: Segment,
        address: str,
        *,
        mapping: Behaviour = "EI",
        filtering: Behaviour = "APD",
        allocation: Allocation = "sequential",
        step: int = 7,
        hairpin: bool = False,
        timeout: float = math.inf,
    ) -> None:
        self.inside = Segment(outside.network)
        self.inside.gateway = self
        self.address = address
        self.hairpin = hairpin
        self._outside = outside
        kind = NatKind(SHORT[mapping], SHORT[filtering], allocation, timeout=timeout, step=step)
        self._table = Table(kind, outside.network.random)
        outside.receivers[address] = self.inbound

    def reset(self) -> None:
        """Forget every mapping, as after a reboot."""
        self._table.forget()

    def seen_as(self, source: Address, destination: Address) -> Address:
        return self._outside.seen_as(self._translated(source, destination), destination)

    def outbound(self, packet: Packet) -> None:
        translated = Packet(self._translated(packet.source, packet.destination), packet.destination, packet.data)
        if packet.destination[0] != self.address:
            self._outside.route(translated)
        elif self.hairpin:
            self.inbound(translated)

    def inbound(self, packet: Packet) -> None:
        inside = self._table.inbound("udp", packet.source, packet.destination[1], self._outside.network.now)
        if inside is not None:
            self.inside.route(Packet(packet.source, inside, packet.data))

    def _translated(self, source: Address, destination: Address) -> Address:
        port = self._table.outbound("udp", source, destination, self._outside.network.now)
        assert port is not None, "every port is taken"
        return self.address, port


class Firewall:
    """IPv6's router: it translates nothing, and lets in what was asked for; `prefix` like "2001:db8:1:"."""

    def __init__(self, outside: Segment, prefix: str) -> None:
        self.inside = Segment(outside.network)
        self.inside.gateway = self
        self._outside = outside
        self._asked: set[tuple[Address, Address]] = set()
        outside.prefixes[prefix] = self.inbound

    def seen_as(self, source: Address, destination: Address) -> Address:
        return source

    def outbound(self, packet: Packet) -> None:
        self._asked.add((packet.source, packet.destination))
        self._outside.route(packet)

    def inbound(self, packet: Packet) -> None:
        if (packet.destination, packet.source) in self._asked and packet.destination[0] in self.inside.receivers:
            self.inside.route(packet)


class Node:
    """A host with one agent, and the little that a shell does: bases, timers, trickle, data."""

    def __init__(
        self,
        network: Network,
        *,
        controlling: bool,
        local: IceCredentials,
        remote: IceCredentials | None,
        tie_breaker: int | None = None,
        policy: PathPolicy = "any",
        settle: float = 0.05,
    ) -> None:
        self.network = network
        self.agent = Agent(
            controlling=controlling,
            local=local,
            remote=remote,
            now=network.now,
            tie_breaker=tie_breaker,
            policy=policy,
            settle=settle,
        )
        self.candidates: list[Candidate] = []
        self.log: list[tuple[float, IceEvent]] = []
        self.data: list[bytes] = []
        self.sent = 0
        self._senders: dict[int, Callable[[bytes, Address], None]] = {}
        self._numbers = itertools.count(1)
        self._spins = 0

    # Bases

    def add_host(self, segment: Segment, address: str, *, port: int = 7777, preference: int = 65535) -> int:
        """A socket on a segment: a host candidate, and a server-reflexive one where STUN would see another address."""
        base = next(self._numbers)
        here = (address, port)
        segment.receivers[address] = lambda packet: self.receive(packet.data, base, packet.source)
        self._senders[base] = lambda data, destination: segment.route(Packet(here, destination, data))
        host = make_candidate("host", here, preference=preference)
        self.learn(host, base)
        seen = segment.seen_as(here, STUN_SERVER)
        if seen != here and ":" not in address:
            self.learn(make_candidate("srflx", seen, preference=preference, related=here), base)
        return base

    def add_relay(self, *, preference: int = 65535) -> int:
        """A TURN allocation: peers that it was used to send to may send back (permissions)."""
        base = next(self._numbers)
        here = (RELAY, next(self.network.relay_ports))
        permitted: set[str] = set()
        internet = self.network.internet

        def arrives(packet: Packet) -> None:
            if packet.source[0] in permitted:
                self.network.carry(packet, lambda packet: self.receive(packet.data, base, packet.source))

        def send(data: bytes, destination: Address) -> None:
            permitted.add(destination[0])
            self.network.carry(Packet(here, destination, data), internet.route)

        self.network.relays[here[1]] = arrives
        self._senders[base] = send
        self.learn(make_candidate("relay", here, preference=preference), base)
        return base

    def remove_base(self, base: int) -> None:
        del self._senders[base]
        self.agent.remove_base(base, self.network.now)
        self.drain()

    def learn(self, candidate: Candidate, base: int) -> None:
        self.candidates.append(candidate)
        self.agent.add_local(candidate, base, self.network.now)
        self.drain()

    def hear_of(self, *candidates: Candidate) -> None:
        """Candidates of the remote arrive by signaling."""
        for candidate in candidates:
            self.agent.add_remote(candidate, self.network.now)
        self.drain()

    # Datagrams

    def receive(self, data: bytes, base: int, source: Address) -> None:
        if is_stun(data):
            try:
                message = decode(data)
            except DecodeError:
                return
            if message.message_class is Class.REQUEST or self.agent.owns_transaction(message.transaction_id):
                self.agent.receive(message, data, base, source, self.network.now)
        elif self.agent.is_valid_source(base, source):
            self.data.append(data)
            self.agent.received_data(base, source, self.network.now)
        self.drain()

    def send(self, data: bytes) -> None:
        pair = self.agent.selected
        if pair is not None and pair.base in self._senders:
            self._senders[pair.base](data, pair.remote.endpoint)

    def drain(self) -> None:
        for transmit in self.agent.transmits():
            self.sent += 1
            if transmit.base in self._senders:
                self._senders[transmit.base](transmit.data, transmit.destination)
        self.log += [(self.network.now, event) for event in self.agent.events()]
        deadline = self.agent.deadline()
        if deadline is not None:
            self.network.at(max(deadline, self.network.now), lambda: self._timer(deadline))

    def _timer(self, deadline: float) -> None:
        if self.agent.deadline() != deadline:
            return  # something else happened meanwhile, and set a timer of its own
        self.agent.handle_timer(self.network.now)
        self._spins = self._spins + 1 if self.agent.deadline() == deadline else 0
        assert self._spins < 10, "a deadline that handle_timer does not move"
        self.drain()

    # What tests look at

    @property
    def bases(self) -> list[int]:
        return list(self._senders)

    def events(self, kind: type[IceEvent]) -> list[tuple[float, IceEvent]]:
        return [(when, event) for when, event in self.log if isinstance(event, kind)]

    @property
    def state(self) -> str:
        return self.agent.state

    @property
    def path(self) -> tuple[Address, Address] | None:
        """Where the selected pair leads from and to, as the public sees it."""
        pair = self.agent.selected
        return None if pair is None else (pair.local.endpoint, pair.remote.endpoint)


def make_candidate(
    kind: Literal["host", "srflx", "prflx", "relay"],
    endpoint: Address,
    *,
    preference: int = 65535,
    related: Address | None = None,
) -> Candidate:
    return Candidate(
        foundation=foundation(kind, related[0] if related else endpoint[0]),
        component=1,
        transport="udp",
        priority=candidate_priority(kind, preference),
        address=endpoint[0],
        port=endpoint[1],
        type=kind,
        related_address=related[0] if related else None,
        related_port=related[1] if related else None,
        relay_protocol="udp" if kind == "relay" else None,
    )


def make_nodes(
    network: Network,
    *,
    policy: PathPolicy = "any",
    roles: tuple[bool, bool] = (True, False),
    tie_breakers: tuple[int, int] = (1, 2),
) -> tuple[Node, Node]:
    """Two nodes that know each other's credentials; the first controls."""
    a, b = IceCredentials("ufragAAA", "a" * 24), IceCredentials("ufragBBB", "b" * 24)
    return (
        Node(network, controlling=roles[0], local=a, remote=b, tie_breaker=tie_breakers[0], policy=policy),
        Node(network, controlling=roles[1], local=b, remote=a, tie_breaker=tie_breakers[1], policy=policy),
    )


def exchange(a: Node, b: Node) -> None:
    """Signal all candidates there are so far, both ways."""
    a.hear_of(*b.candidates)
    b.hear_of(*a.candidates)


def agree(a: Node, b: Node) -> bool:
    """Whether both are connected over the same path, seen from its two ends."""
    there, back = a.agent.selected, b.agent.selected
    return (
        a.agent.state == b.agent.state == "connected"
        and there is not None
        and back is not None
        and there.local.endpoint == back.remote.endpoint
        and there.remote.endpoint == back.local.endpoint
    )
