"""Which memberships hold, given every fact of a mesh: the same answer whatever order the facts arrived in.

Judged most senior first, so that each step rests on settled ones. Seniority: the founder; then whom the root made
admin; then whom those made admin, at most 8 steps from the root; at each step by time of issue. An admin whose
membership holds makes its statements count: the memberships it signed, its revocations of any member and of admins
junior to it. So two admins can never strike each other out, nobody but the root can strike out the founder, and the
word of a removed admin is void, whenever it claims to have spoken. A revocation of one's own membership (leaving)
hides the node and leaves what it signed standing.
"""

from __future__ import annotations

import heapq

from atmosphere.mesh.membership import ROOT, Fact, Membership, Revocation, fact_id

MAX_DEPTH = 8
SKEW = 3600
"""By how many seconds an admin's clock may disagree with that of whoever made it an admin."""


def holding(by_issuer: dict[str, list[Fact]]) -> dict[str, list[Membership]]:
    """The memberships that hold, by node id, expired ones among them. `by_issuer`: every fact, signatures verified."""
    held: dict[str, list[Membership]] = {}
    for membership in _Judgement(by_issuer).holding():
        held.setdefault(membership.node_id, []).append(membership)
    return held


def empowers(membership: Membership, fact: Fact) -> bool:
    """Whether this membership makes its node an admin at the time when it issued `fact`."""
    return (
        membership.is_admin
        and membership.issued - SKEW <= fact.issued
        and (not membership.expires or fact.issued <= membership.expires + SKEW)
    )


class _Judgement:
    """A walk from the root outwards, over a queue ordered by seniority."""

    def __init__(self, by_issuer: dict[str, list[Fact]]) -> None:
        self._by_issuer = by_issuer
        self._struck_by_root = {fact.serial for fact in by_issuer.get(ROOT, ()) if isinstance(fact, Revocation)}
        self._struck_by_admins: set[str] = set()
        self._queue: list[tuple[int, int, str, bytes, Membership]] = []
        self._accepted: dict[bytes, Membership] = {}

    def holding(self) -> list[Membership]:
        """Every membership that holds."""
        for fact in self._by_issuer.get(ROOT, ()):
            if isinstance(fact, Membership):
                self._push(fact, 0 if fact.role == "founder" else 1)
        while self._queue:
            depth, _, _, name, membership = heapq.heappop(self._queue)
            if name not in self._accepted and not self._is_struck(membership):
                self._accepted[name] = membership
                self._empower(membership, depth)
        return [membership for membership in self._accepted.values() if self._stands(membership)]

    def _push(self, membership: Membership, depth: int) -> None:
        heapq.heappush(self._queue, (depth, membership.issued, membership.serial, fact_id(membership), membership))

    def _empower(self, membership: Membership, depth: int) -> None:
        """Make what this admin signed count. Admins accepted before are senior to it and beyond its reach."""
        for fact in self._by_issuer.get(membership.node_id, ()):
            if not empowers(membership, fact):
                continue
            if isinstance(fact, Revocation):
                self._struck_by_admins.add(fact.serial)
            elif depth < MAX_DEPTH:
                self._push(fact, depth + 1)

    def _is_struck(self, membership: Membership) -> bool:
        if membership.serial in self._struck_by_root:
            return True
        return membership.role != "founder" and membership.serial in self._struck_by_admins

    def _stands(self, membership: Membership) -> bool:
        """Whether an accepted membership holds in the end: ordinary members are within every admin's reach."""
        own = self._by_issuer.get(membership.node_id, ())
        if any(isinstance(fact, Revocation) and fact.serial == membership.serial for fact in own):
            return False
        return membership.is_admin or not self._is_struck(membership)
