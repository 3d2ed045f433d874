"""What it takes to remove a member: revocations, and the word of others where the removed one's had counted."""

from __future__ import annotations

from atmosphere.errors import Refused
from atmosphere.mesh.facts import Facts
from atmosphere.mesh.membership import Authority, Fact


def removal(facts: Facts, node_id: str, authority: Authority, now: float) -> list[Fact]:
    """The facts that remove a node and change nothing else: newly signed, for the caller to add, save and spread.

    Every membership of the node is revoked. Where others belong by its word, or were removed by it, the authority says
    the same anew. A member may remove itself. Refused when the authority may not: the founder is removed by the root
    alone, an admin by the root and by admins senior to it.
    """
    said = _Removal(facts, authority, now)
    said.revoke(node_id)
    said.keep_out()
    said.keep_in(node_id)
    if said.trial.member(node_id, now) is not None:
        raise Refused("only the founder, or an admin of longer standing, can remove that member")
    return said.new


class _Removal:
    """A copy of the facts on which a removal is tried out."""

    def __init__(self, facts: Facts, authority: Authority, now: float) -> None:
        self.trial = Facts(facts.root_public_key)
        self.trial.merge(facts.encoded())
        self.new: list[Fact] = []
        self._authority = authority
        self._now = now
        self._before = facts.members(now)

    def revoke(self, node_id: str) -> None:
        """Revoke every membership of a node."""
        for membership in self.trial.memberships(node_id):
            when = self.trial.issue_time(self._authority.issuer, "", self._now)
            self._say(self._authority.revocation(self.trial.mesh_id, membership.serial, issued=when))

    def keep_out(self) -> None:
        """Revoke again whom only the removed node's word had kept out."""
        tried: set[str] = set()
        while back := self.trial.members(self._now).keys() - self._before.keys() - tried:
            tried |= back
            for node_id in sorted(back):
                self.revoke(node_id)

    def keep_in(self, removed: str) -> None:
        """Vouch for those who belonged by the removed node's word."""
        for node_id in sorted(self._before.keys() - self.trial.members(self._now).keys() - {removed}):
            was = self._before[node_id]
            when = self.trial.issue_time(self._authority.issuer, node_id, self._now)
            renewed = self._authority.membership(
                self.trial.mesh_id,
                was.public_key,
                was.name,
                issued=when,
                expires=was.expires,
                role="admin" if was.is_admin else "member",
            )
            self._say(renewed)

    def _say(self, fact: Fact) -> None:
        if self.trial.add(fact):
            self.new.append(fact)
