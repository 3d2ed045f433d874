"""What a NAT does, as a table without packets: mapping, filtering and port allocation in RFC 4787's words.

Shared by the router in user space (`tests.lab.usernat`) and the network in memory (`tests.ice.vnet`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

Dependence = Literal["endpoint-independent", "address-dependent", "address-and-port-dependent"]
"""RFC 4787 §4.1 and §5: what of the remote endpoint a mapping or a filter looks at."""

Allocation = Literal["preserved", "sequential", "random"]
"""RFC 4787 §4.2: the port of a new mapping. The inside port, or the first free above it; or the first free above the
one given last; or any."""

Endpoint = tuple[str, int]
DEPENDENCES: tuple[Dependence, ...] = ("endpoint-independent", "address-dependent", "address-and-port-dependent")
ALLOCATIONS: tuple[Allocation, ...] = ("preserved", "sequential", "random")
FIRST_PORT, LAST_PORT = 1024, 65535

SHORT: dict[str, Dependence] = dict(zip(("EI", "AD", "APD"), DEPENDENCES, strict=True))
"""RFC 5780's everyday shorthand."""


@dataclass(frozen=True, slots=True)
class NatKind:
    """How a NAT behaves; `timeout` in seconds, `step` is how far apart sequential ports are."""

    mapping: Dependence
    filtering: Dependence
    allocation: Allocation = "preserved"
    hairpin: bool = False
    timeout: float = 120.0
    step: int = 1

    @classmethod
    def parse(cls, name: str) -> NatKind:
        """The kind called "MAPPING-FILTERING-ALLOCATION", like "APD-AD-sequential"; ValueError for anything else."""
        mapping, filtering, allocation = [*name.split("-"), "", "", ""][:3]
        if mapping not in SHORT or filtering not in SHORT or name.count("-") != 2:
            raise ValueError(f"not a kind of NAT: {name!r}")
        for known in ALLOCATIONS:
            if known == allocation:
                return cls(SHORT[mapping], SHORT[filtering], known)
        raise ValueError(f"not a way to allocate ports: {allocation!r}")

    def __str__(self) -> str:
        short = {long: name for name, long in SHORT.items()}
        return f"{short[self.mapping]}-{short[self.filtering]}-{self.allocation}"


EVERY_KIND = tuple(
    NatKind(mapping, filtering, how) for mapping in DEPENDENCES for filtering in DEPENDENCES for how in ALLOCATIONS
)


@dataclass(slots=True)
class Mapping:
    """An inside endpoint and the outside port it has; `peers` is who was sent to (cut as filtering looks), and when."""

    inside: Endpoint
    port: int
    key: tuple[str, Endpoint, object]
    used: float
    peers: dict[object, float] = field(default_factory=dict)


class Table:
    """Every mapping of one NAT. Ports of different protocols ("udp", "tcp", "icmp") are apart."""

    def __init__(self, kind: NatKind, chance: random.Random) -> None:
        self.kind = kind
        self._random = chance
        self._last: int = chance.randrange(FIRST_PORT, LAST_PORT)
        self._by_inside: dict[tuple[str, Endpoint, object], Mapping] = {}
        self._by_port: dict[tuple[str, int], Mapping] = {}

    def __len__(self) -> int:
        return len(self._by_inside)

    def outbound(self, protocol: str, source: Endpoint, destination: Endpoint, now: float) -> int | None:
        """The outside port that a packet leaves from, mapped now if need be; None when no port is free."""
        key = (protocol, source, _cut(self.kind.mapping, destination))
        mapping = self._by_inside.get(key)
        if mapping is not None and self._expired(mapping, now):
            self._remove(mapping)
            mapping = None
        if mapping is None:
            port = self._free_port(protocol, source[1], now)
            if port is None:
                return None
            mapping = self._by_inside[key] = self._by_port[protocol, port] = Mapping(source, port, key, now)
        mapping.used = now
        mapping.peers[_cut(self.kind.filtering, destination)] = now
        return mapping.port

    def inbound(self, protocol: str, source: Endpoint, port: int, now: float) -> Endpoint | None:
        """Who gets a packet from `source` to an outside port; None for a stray, which leaves no trace."""
        mapping = self._by_port.get((protocol, port))
        if mapping is None or self._expired(mapping, now):
            return None
        peer = _cut(self.kind.filtering, source)
        last = mapping.peers.get(peer)
        if last is None or now - last > self.kind.timeout:
            return None
        mapping.used = mapping.peers[peer] = now
        return mapping.inside

    def owner(self, protocol: str, port: int, now: float) -> Endpoint | None:
        """The inside endpoint of an outside port, whoever asks (an ICMP error comes from anybody on the way)."""
        mapping = self._by_port.get((protocol, port))
        return None if mapping is None or self._expired(mapping, now) else mapping.inside

    def forget(self) -> None:
        """What a restarted router does: every mapping is gone, and the next ports are others."""
        self._by_inside.clear()
        self._by_port.clear()
        self._last = self._random.randrange(FIRST_PORT, LAST_PORT)

    def expire(self, now: float) -> None:
        """Remove what timed out, for memory's sake: an expired mapping does nothing anyway."""
        for mapping in [one for one in self._by_inside.values() if self._expired(one, now)]:
            self._remove(mapping)

    def _expired(self, mapping: Mapping, now: float) -> bool:
        return now - mapping.used > self.kind.timeout

    def _remove(self, mapping: Mapping) -> None:
        del self._by_inside[mapping.key]
        del self._by_port[mapping.key[0], mapping.port]

    def _free_port(self, protocol: str, inside: int, now: float) -> int | None:
        if self.kind.allocation == "preserved":
            return self._first_free(protocol, max(inside, FIRST_PORT), 1, now)
        if self.kind.allocation == "random":
            return self._first_free(protocol, self._random.randint(FIRST_PORT, LAST_PORT), 1, now)
        port = self._first_free(protocol, self._last + self.kind.step, self.kind.step, now)
        if port is not None:
            self._last = port
        return port

    def _first_free(self, protocol: str, port: int, step: int, now: float) -> int | None:
        count = LAST_PORT - FIRST_PORT + 1
        for number in range(count):
            candidate = FIRST_PORT + (port + number * step - FIRST_PORT) % count
            taken = self._by_port.get((protocol, candidate))
            if taken is not None and self._expired(taken, now):
                self._remove(taken)
                taken = None
            if taken is None:
                return candidate
        return None


def _cut(dependence: Dependence, endpoint: Endpoint) -> object:
    """The part of a remote endpoint that a behaviour looks at."""
    if dependence == "endpoint-independent":
        return None
    return endpoint[0] if dependence == "address-dependent" else endpoint
