from __future__ import annotations

import pytest

from atmosphere.mesh import judgement
from atmosphere.mesh.facts import Facts
from tests.mesh.people import ALICE, BOB, CAROL, DAVE, EVE, NOW, facts, join, revoke

FOUNDER = join(ALICE, role="founder")
BOB_ADMIN = join(BOB, role="admin", at=NOW + 1)
CAROL_BY_BOB = join(CAROL, by=BOB, role="admin", at=NOW + 2)
DAVE_BY_CAROL = join(DAVE, by=CAROL, at=NOW + 3)
EVE_MEMBER = join(EVE, at=NOW)


def names(known: Facts) -> str:
    letters = zip("abcde", (ALICE, BOB, CAROL, DAVE, EVE), strict=True)
    return "".join(letter for letter, node in letters if known.member(node.node_id, NOW))


def test_the_root_revokes_anyone() -> None:
    known = facts(FOUNDER, BOB_ADMIN, EVE_MEMBER, revoke(FOUNDER), revoke(EVE_MEMBER))
    assert names(known) == "b"
    assert known.is_revoked(ALICE.node_id)


def test_whoever_belongs_by_a_revoked_admin_does_not() -> None:
    known = facts(BOB_ADMIN, CAROL_BY_BOB, DAVE_BY_CAROL)
    assert names(known) == "bcd"
    known.add(revoke(BOB_ADMIN))
    assert names(known) == ""
    assert known.is_revoked(DAVE.node_id)


def test_any_admin_revokes_any_member() -> None:
    known = facts(BOB_ADMIN, CAROL_BY_BOB, EVE_MEMBER, revoke(EVE_MEMBER, by=CAROL, at=NOW + 5))
    assert names(known) == "bc"


def test_members_revoke_nobody_but_themselves() -> None:
    known = facts(BOB_ADMIN, CAROL_BY_BOB, DAVE_BY_CAROL, EVE_MEMBER)
    assert not known.add(revoke(DAVE_BY_CAROL, by=EVE))
    assert known.add(revoke(EVE_MEMBER, by=EVE))
    assert names(known) == "bcd"


def test_an_admin_that_leaves_leaves_its_word_standing() -> None:
    known = facts(BOB_ADMIN, CAROL_BY_BOB, revoke(BOB_ADMIN, by=BOB, at=NOW + 3))
    assert names(known) == "c"
    assert known.is_revoked(BOB.node_id)


def test_the_founder_is_beyond_admins() -> None:
    assert names(facts(FOUNDER, BOB_ADMIN, revoke(FOUNDER, by=BOB, at=NOW + 2))) == "ab"


def test_the_founder_rules_by_its_own_key_too() -> None:
    member = join(DAVE, by=ALICE, at=NOW + 4)
    assert names(facts(FOUNDER, BOB_ADMIN, member, revoke(BOB_ADMIN, by=ALICE, at=NOW + 5))) == "ad"


def test_of_two_admins_the_senior_wins() -> None:
    later = join(EVE, role="admin", at=NOW + 2)
    each_other = [revoke(BOB_ADMIN, by=EVE, at=NOW + 3), revoke(later, by=BOB, at=NOW + 4)]
    assert names(facts(BOB_ADMIN, later, *each_other)) == "b"
    up_the_chain = revoke(BOB_ADMIN, by=CAROL, at=NOW + 5)
    assert names(facts(BOB_ADMIN, CAROL_BY_BOB, up_the_chain)) == "bc"


def test_the_word_of_a_removed_admin_is_void() -> None:
    known = facts(BOB_ADMIN, EVE_MEMBER, revoke(EVE_MEMBER, by=BOB, at=NOW + 3))
    assert names(known) == "b"
    known.add(revoke(BOB_ADMIN, at=NOW + 9))
    assert names(known) == "e"


def test_an_admin_speaks_only_in_its_time() -> None:
    known = facts(join(BOB, role="admin", at=NOW, expires=NOW + 100))
    skew = judgement.SKEW
    assert not known.add(join(DAVE, by=BOB, at=NOW - skew - 1))
    assert not known.add(join(DAVE, by=BOB, at=NOW + 100 + skew + 1))
    assert known.add(join(DAVE, by=BOB, at=NOW - skew))
    assert known.add(join(EVE, by=BOB, at=NOW + 100 + skew))
    assert names(known) == "bde"
    assert known.member(EVE.node_id, NOW + 1000), "an admin's expiry does not end what it signed in its time"


def test_a_second_time_in_office_does_not_reach_back() -> None:
    first, second = join(BOB, role="admin", at=NOW), join(BOB, role="admin", at=NOW + 90_000)
    in_the_first = join(DAVE, by=BOB, at=NOW + 10)
    in_the_second = join(EVE, by=BOB, at=NOW + 90_010)
    assert names(facts(first, in_the_first, second, in_the_second)) == "bde"
    ended = join(BOB, role="admin", at=NOW, expires=NOW + 20)
    known = facts(ended, in_the_first, second, in_the_second, revoke(ended))
    assert names(known) == "be"


def test_depth_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "MAX_DEPTH", 2)
    known = facts(BOB_ADMIN, CAROL_BY_BOB, DAVE_BY_CAROL, EVE_MEMBER)
    assert names(known) == "bce"
    assert known.add(revoke(EVE_MEMBER, by=CAROL, at=NOW + 5)), "the deepest admins may still remove members"
    assert names(known) == "bc"
    known.add(join(CAROL, role="admin", at=NOW + 1))
    assert names(known) == "bcd"
