"""A founder and some nodes, for the tests of this package."""

from __future__ import annotations

from atmosphere.identity import Identity
from atmosphere.mesh.facts import Facts
from atmosphere.mesh.membership import Authority, Membership, Revocation, Role
from atmosphere.mesh.root import RootKey

NOW = 1_800_000_000

ROOT_KEY = RootKey.generate()
MESH = ROOT_KEY.mesh_id
ROOT_AUTHORITY = Authority.root(ROOT_KEY)
ALICE, BOB, CAROL, DAVE, EVE = NODES = [Identity.generate() for _ in range(5)]


def join(
    who: Identity,
    by: Authority | Identity = ROOT_AUTHORITY,
    role: Role = "member",
    at: int = NOW,
    expires: int = 0,
    name: str = "node",
    serial: str | None = None,
) -> Membership:
    """A membership of `who`, signed by `by`."""
    signer = by if isinstance(by, Authority) else Authority.node(by)
    return signer.membership(MESH, who.public_key, name, issued=at, expires=expires, role=role, serial=serial)


def revoke(what: Membership, by: Authority | Identity = ROOT_AUTHORITY, at: int = NOW) -> Revocation:
    """A revocation of a membership, signed by `by`."""
    signer = by if isinstance(by, Authority) else Authority.node(by)
    return signer.revocation(MESH, what.serial, issued=at)


def facts(*contents: Membership | Revocation) -> Facts:
    """A set with these facts, all of which must be taken in."""
    known = Facts(ROOT_KEY.public_key)
    for fact in contents:
        assert known.add(fact)
    return known
