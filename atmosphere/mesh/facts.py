"""All that a node knows about who belongs to its mesh: a set that only grows, and comes out the same in any order.

Whether a fact is *taken in* depends on its own chain alone, revocations aside: the root signed it; or an admin did,
whom a fact taken in before made an admin at that time; or a member revokes its own membership. What cannot be judged
yet waits aside. Which memberships *hold* is judged over the whole set (atmosphere.mesh.judgement). Because the first
question never looks at a revocation, two nodes that have heard the same take in the same, in whatever order they
heard it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from atmosphere.errors import DecodeError
from atmosphere.identity import ID_LENGTH
from atmosphere.mesh.judgement import empowers, holding
from atmosphere.mesh.membership import (
    ROOT,
    Fact,
    Membership,
    Revocation,
    decode_fact,
    encode_fact,
    fact_id,
    is_signed_by,
)
from atmosphere.mesh.root import mesh_id_of

MAX_FACTS = 4096
MAX_FACTS_OF_NODES = 2048
"""Facts signed by anyone but the root; the rest is the root's alone."""
MAX_FACTS_PER_NODE = 512
MAX_WAITING = 512
MAX_WAITING_PER_ISSUER = 64
SHORT_ID = 6
"""With how many characters of its id a member is told from another of the same name, at least."""

_RANK = {"member": 0, "admin": 1, "founder": 2}


class Facts:
    """The facts of one mesh. Facts of another mesh, or badly signed, are never taken in."""

    def __init__(self, root_public_key: bytes) -> None:
        self.root_public_key = root_public_key
        self.mesh_id = mesh_id_of(root_public_key)
        self._facts: dict[bytes, Fact] = {}
        self._by_issuer: dict[str, list[Fact]] = {}
        self._by_node: dict[str, list[Membership]] = {}
        self._waiting: dict[bytes, Fact] = {}
        self._digest: bytes | None = None
        self._holding: dict[str, list[Membership]] | None = None

    def __len__(self) -> int:
        return len(self._facts)

    def __iter__(self) -> Iterator[Fact]:
        """Every fact, each after those it rests on."""
        return iter(self._facts.values())

    def __contains__(self, fact: Fact) -> bool:
        return fact_id(fact) in self._facts

    # What comes in and goes out.

    def add(self, fact: Fact) -> bool:
        """Take in one fact; whether it was new and counts (False too while it waits for what it rests on)."""
        return any(taken is fact for taken in self._take_in(fact))

    def merge(self, encoded: Iterable[bytes]) -> list[Fact]:
        """Take in what a peer sent; every fact that counts now and did not before. What makes no sense is skipped."""
        new: list[Fact] = []
        for data in encoded:
            try:
                fact = decode_fact(data)
            except DecodeError:
                continue  # perhaps of a kind that only a newer version knows
            new += self._take_in(fact)
        return new

    def digest(self) -> bytes:
        """32 bytes that are equal on two nodes exactly when they know the same."""
        if self._digest is None:
            self._digest = hashlib.sha256(b"atmosphere facts v1" + b"".join(sorted(self._facts))).digest()
        return self._digest

    def ids(self) -> list[bytes]:
        """The id of every fact, for the other side to compare."""
        return list(self._facts)

    def missing(self, their_ids: Iterable[bytes]) -> list[bytes]:
        """The facts, encoded, that are not among a peer's ids; each after those it rests on."""
        theirs = set(their_ids)
        return [encode_fact(fact) for name, fact in self._facts.items() if name not in theirs]

    def encoded(self) -> list[bytes]:
        """Every fact, encoded, in an order that `merge` takes in at one go."""
        return self.missing(())

    def proof(self, node_id: str) -> list[bytes]:
        """The facts, encoded, that convince someone who knows only the root key that a node belongs."""
        needed, known = [node_id], {node_id}
        for issuer in needed:
            for fact in self._by_node.get(issuer, ()):
                if fact.issuer != ROOT and fact.issuer not in known:
                    known.add(fact.issuer)
                    needed.append(fact.issuer)
        return [encode_fact(fact) for fact in self if isinstance(fact, Membership) and fact.node_id in known]

    # What follows from them.

    def members(self, now: float) -> dict[str, Membership]:
        """The membership that holds for each node at `now` (Unix seconds): its highest role, of those the newest."""
        current = {node_id: self.member(node_id, now) for node_id in self._judged()}
        return {node_id: membership for node_id, membership in current.items() if membership is not None}

    def member(self, node_id: str, now: float) -> Membership | None:
        """The membership that holds for a node, or None: unknown, removed or expired."""
        unexpired = (one for one in self._judged().get(node_id, ()) if not one.expires or now < one.expires)
        return max(unexpired, key=_preference, default=None)

    def is_admin(self, node_id: str, now: float) -> bool:
        """Whether a node may invite and remove others."""
        membership = self.member(node_id, now)
        return membership is not None and membership.is_admin

    def is_revoked(self, node_id: str) -> bool:
        """Whether a node once belonged and was removed, or left (not whether its membership expired)."""
        return node_id in self._by_node and node_id not in self._judged()

    def memberships(self, node_id: str) -> list[Membership]:
        """Every membership ever taken in for a node, whether it holds or not."""
        return list(self._by_node.get(node_id, ()))

    def issue_time(self, issuer: str, node_id: str, now: float) -> int:
        """When a new fact about a node should say it was issued.

        Now, unless this clock is behind: not before what gives the issuer its authority, and after what it supersedes.
        """
        own = [membership.issued for membership in self._by_node.get(issuer, ())]
        earlier = [membership.issued + 1 for membership in self._by_node.get(node_id, ())]
        return max(int(now), *own, *earlier, 0)

    # Taking in.

    def _take_in(self, fact: Fact) -> list[Fact]:
        """The facts that count now and did not before: this one, and those that waited for it."""
        taken: list[Fact] = []
        queue = [fact]
        while queue:
            fact = queue.pop()
            if fact.mesh_id != self.mesh_id or fact in self:
                continue
            if not self._rests_on_something(fact):
                self._wait(fact)
            elif not self._is_full(fact.issuer) and is_signed_by(fact, self._key_of(fact.issuer)):
                self._store(fact)
                taken.append(fact)
                queue += self._no_longer_waiting(fact)
        return taken

    def _rests_on_something(self, fact: Fact) -> bool:
        """Whether the issuer could say this: see the module's docstring."""
        if fact.issuer == ROOT:
            return True
        own = self._by_node.get(fact.issuer, ())
        if isinstance(fact, Revocation) and any(membership.serial == fact.serial for membership in own):
            return True
        return any(empowers(membership, fact) for membership in own)

    def _key_of(self, issuer: str) -> bytes:
        return self.root_public_key if issuer == ROOT else self._by_node[issuer][0].public_key

    def _is_full(self, issuer: str) -> bool:
        if issuer == ROOT:
            return len(self._facts) >= MAX_FACTS
        of_nodes = len(self._facts) - len(self._by_issuer.get(ROOT, ()))
        return of_nodes >= MAX_FACTS_OF_NODES or len(self._by_issuer.get(issuer, ())) >= MAX_FACTS_PER_NODE

    def _store(self, fact: Fact) -> None:
        self._facts[fact_id(fact)] = fact
        self._by_issuer.setdefault(fact.issuer, []).append(fact)
        if isinstance(fact, Membership):
            self._by_node.setdefault(fact.node_id, []).append(fact)
        self._digest = self._holding = None

    def _wait(self, fact: Fact) -> None:
        # The signature is part of the name here: it cannot be checked yet, and a forgery must not displace the fact.
        name = hashlib.sha256(encode_fact(fact)).digest()
        issuers = Counter(waiting.issuer for waiting in self._waiting.values())
        if name in self._waiting or issuers[fact.issuer] >= MAX_WAITING_PER_ISSUER:
            return
        if len(self._waiting) >= MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[name] = fact

    def _no_longer_waiting(self, arrived: Fact) -> list[Fact]:
        """The waiting facts that `arrived` may have been awaited by, last come first."""
        if not isinstance(arrived, Membership):
            return []
        names = [name for name, fact in self._waiting.items() if fact.issuer == arrived.node_id]
        return [self._waiting.pop(name) for name in reversed(names)]

    def _judged(self) -> dict[str, list[Membership]]:
        if self._holding is None:
            self._holding = holding(self._by_issuer)
        return self._holding


def display_names(members: dict[str, Membership]) -> dict[str, str]:
    """What to call each member: its name, and where two share one, with as much of the id as tells them apart."""
    shared: dict[str, list[str]] = {}
    for node_id, membership in members.items():
        shared.setdefault(membership.name, []).append(node_id)
    names: dict[str, str] = {}
    for name, node_ids in shared.items():
        length = next(n for n in range(SHORT_ID, ID_LENGTH + 1) if len({one[:n] for one in node_ids}) == len(node_ids))
        for node_id in node_ids:
            names[node_id] = name if len(node_ids) == 1 else f"{name} ({node_id[:length]})"
    return names


def _preference(membership: Membership) -> tuple[int, int, str]:
    return _RANK[membership.role], membership.issued, membership.serial
