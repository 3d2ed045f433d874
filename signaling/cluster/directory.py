"""Which instances there are, and which of them has which node (pure).

What an instance says of its nodes comes in numbered frames; after a gap it is asked for its whole roster. Of two
instances that both have a node the one with the higher (stamp, instance) counts; a stamp is the time of the connection
in Unix milliseconds, but always higher than every stamp seen before, of whatever node (a Lamport clock): clocks differ,
and an instance that was taken for dead, its nodes forgotten, may come back with its old stamps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field

MAX_NODES = 1_000_000
"""Nodes of one other instance that are remembered."""

MAX_TOPICS = 1_000_000
ATTENTION = 0.25
"""Seconds that count as silence at most between two looks at the clock: the rest of the time it was us who were busy,
and what the others said waits to be read."""


@dataclass(slots=True)
class _Peer:
    heard: float
    seq: int = 0
    in_step: bool = False
    nodes: set[str] = field(default_factory=set)
    topics: dict[str, int] = field(default_factory=dict)
    unsaid: set[str] = field(default_factory=set)
    """Nodes that a roster under way has not named yet."""


class Directory:
    """What one instance, `own`, knows of the others; a silent one is dead after `dead_after` seconds."""

    def __init__(self, own: str, dead_after: float) -> None:
        self.own = own
        self._dead_after = dead_after
        self._looked = 0.0
        self.attended = 0.0
        """Seconds for which this instance has listened."""
        self._peers: dict[str, _Peer] = {}
        self._places: dict[str, tuple[int, str]] = {}
        self._latest = 0
        """The highest stamp that was given or heard."""

    def __len__(self) -> int:
        return len(self._places)

    # Instances

    @property
    def live(self) -> Collection[str]:
        """The other instances."""
        return self._peers.keys()

    def hear(self, instance: str, seq: int) -> bool:
        """A frame of `instance` came; True when it is new here. A `seq` out of order puts it out of step."""
        peer = self._peers.get(instance)
        new = peer is None
        if peer is None:
            # Number 1 is an instance's first word: nothing was said before it.
            peer = self._peers[instance] = _Peer(self.attended, in_step=seq == 1)
        elif seq and seq != peer.seq + 1:
            peer.in_step = False
        peer.heard = self.attended
        peer.seq = seq or peer.seq
        return new

    def out_of_step(self) -> list[str]:
        """Those of whom something was missed."""
        return [instance for instance, peer in self._peers.items() if not peer.in_step]

    def silent(self, now: float) -> list[str]:
        """Those to be taken for dead."""
        self.attended += min(now - self._looked, ATTENTION)
        self._looked = now
        return [instance for instance, peer in self._peers.items() if self.attended - peer.heard > self._dead_after]

    def remove(self, instance: str) -> list[str]:
        """Forget an instance; the nodes that are nowhere now."""
        peer = self._peers.pop(instance, None)
        return [node for node in peer.nodes if self._drop(node, instance)] if peer else []

    def keeper(self, node: str) -> str | None:
        """The other instance that keeps copies of messages for an absent node; the same for all who ask, but itself."""
        return max(self._peers, key=lambda one: hashlib.blake2b(f"{one}{node}".encode()).digest(), default=None)

    # Nodes

    def place(self, node: str) -> str | None:
        """The instance that has `node`."""
        entry = self._places.get(node)
        return entry[1] if entry else None

    def enter(self, node: str, unix_ms: int) -> int:
        """`node` connected here; the stamp to say so with."""
        stamp = self._latest = max(unix_ms, self._latest + 1)
        self._move(node, stamp, self.own)
        return stamp

    def leave(self, node: str) -> int | None:
        """`node` is gone from here; its stamp, or None when it was somewhere else already."""
        entry = self._places.get(node)
        if entry is None or entry[1] != self.own:
            return None
        del self._places[node]
        return entry[0]

    def move(self, node: str, stamp: int, instance: str) -> bool:
        """Another instance says that it has `node`; whether that is news."""
        self._latest = max(self._latest, stamp)
        peer = self._peers.get(instance)
        if peer is None or (node not in peer.nodes and len(peer.nodes) >= MAX_NODES):
            return False
        peer.unsaid.discard(node)
        entry = self._places.get(node)
        if entry is not None and entry >= (stamp, instance):
            return False
        self._move(node, stamp, instance)
        return entry is None or entry[1] != instance

    def depart(self, node: str, stamp: int, instance: str) -> bool:
        """Another instance says that `node` is gone; whether it is nowhere now."""
        entry = self._places.get(node)
        return entry is not None and entry[0] <= stamp and self._drop(node, instance)

    def _move(self, node: str, stamp: int, instance: str) -> None:
        former = self._places.get(node)
        if former and former[1] in self._peers:
            self._peers[former[1]].nodes.discard(node)
        self._places[node] = (stamp, instance)
        if instance in self._peers:
            self._peers[instance].nodes.add(node)

    def _drop(self, node: str, instance: str) -> bool:
        entry = self._places.get(node)
        if entry is None or entry[1] != instance:
            return False
        del self._places[node]
        if instance in self._peers:
            self._peers[instance].nodes.discard(node)
        return True

    def stamps(self) -> list[tuple[str, int]]:
        """The nodes that are here, with their stamps."""
        return [(node, stamp) for node, (stamp, instance) in self._places.items() if instance == self.own]

    # Rosters

    def roster_begins(self, instance: str) -> None:
        """Everything known of an instance is about to be said again; nothing happens for one that has gone."""
        peer = self._peers.get(instance)
        if peer is None:
            return
        peer.unsaid = set(peer.nodes)
        peer.topics.clear()
        peer.in_step = True

    def roster_ends(self, instance: str) -> list[str]:
        """It has all been said; the nodes that were not named and are nowhere now."""
        peer = self._peers.get(instance)
        if peer is None:
            return []
        unsaid, peer.unsaid = peer.unsaid, set()
        return [node for node in unsaid if self._drop(node, instance)]

    # Topics

    def interest(self, instance: str, topic: str, subscribers: int) -> None:
        """So many are subscribed to `topic` at another instance."""
        peer = self._peers.get(instance)
        if peer is None:
            return
        if not subscribers:
            peer.topics.pop(topic, None)
        elif topic in peer.topics or len(peer.topics) < MAX_TOPICS:
            peer.topics[topic] = subscribers

    def subscribers(self, topic: str) -> int:
        """How many are subscribed to `topic` elsewhere."""
        return sum(peer.topics.get(topic, 0) for peer in self._peers.values())
