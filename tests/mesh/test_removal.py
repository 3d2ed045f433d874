from __future__ import annotations

import pytest

from atmosphere.errors import Refused
from atmosphere.mesh.facts import Facts
from atmosphere.mesh.membership import Authority, Membership, Revocation
from atmosphere.mesh.removal import removal
from tests.mesh.people import ALICE, BOB, CAROL, DAVE, EVE, NOW, ROOT_AUTHORITY, facts, join, revoke

FOUNDER = join(ALICE, role="founder")
BOB_ADMIN = join(BOB, role="admin", at=NOW + 1)
CAROL_ADMIN = join(CAROL, role="admin", at=NOW + 2)


def members(known: Facts) -> set[str]:
    return set(known.members(NOW))


def test_a_removal_revokes_every_membership() -> None:
    known = facts(FOUNDER, join(EVE), join(EVE, at=NOW + 5), join(EVE, at=NOW - 9, expires=NOW - 8))
    said = removal(known, EVE.node_id, ROOT_AUTHORITY, NOW + 10)
    assert len(said) == 3
    assert EVE.node_id in members(known), "nothing is added yet"
    assert all(known.add(fact) for fact in said)
    assert members(known) == {ALICE.node_id}


def test_removing_an_admin_keeps_those_it_let_in_and_out() -> None:
    eve = join(EVE)
    carol = join(CAROL, by=BOB, role="admin", at=NOW + 2, name="carol")
    known = facts(FOUNDER, BOB_ADMIN, carol, join(DAVE, by=CAROL, at=NOW + 3), eve, revoke(eve, by=BOB, at=NOW + 4))
    said = removal(known, BOB.node_id, ROOT_AUTHORITY, NOW + 10)
    for fact in said:
        known.add(fact)
    assert members(known) == {ALICE.node_id, CAROL.node_id, DAVE.node_id}
    again = known.member(CAROL.node_id, NOW)
    assert again
    assert (again.role, again.name, again.issuer) == ("admin", "carol", "root")
    assert {type(fact) for fact in said} == {Membership, Revocation}


def test_admins_remove_whom_they_may() -> None:
    known = facts(FOUNDER, BOB_ADMIN, CAROL_ADMIN, join(EVE))
    bob, carol = Authority.node(BOB), Authority.node(CAROL)
    assert removal(known, EVE.node_id, carol, NOW)
    assert removal(known, CAROL.node_id, bob, NOW)
    for whom in (ALICE, BOB):
        with pytest.raises(Refused, match="longer standing"):
            removal(known, whom.node_id, carol, NOW)
    with pytest.raises(Refused):
        removal(known, BOB.node_id, Authority.node(EVE), NOW)


def test_leaving_is_removing_oneself() -> None:
    known = facts(FOUNDER, join(EVE))
    for fact in removal(known, EVE.node_id, Authority.node(EVE), NOW):
        known.add(fact)
    assert members(known) == {ALICE.node_id}


def test_who_is_unknown_needs_no_removal() -> None:
    assert removal(facts(FOUNDER), EVE.node_id, ROOT_AUTHORITY, NOW) == []
