from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.mesh import facts as module
from atmosphere.mesh.facts import Facts, display_names
from atmosphere.mesh.membership import Fact, encode_fact, fact_id
from atmosphere.mesh.root import RootKey
from tests.mesh.people import ALICE, BOB, CAROL, DAVE, EVE, NODES, NOW, ROOT_KEY, facts, join, revoke

FOUNDER = join(ALICE, role="founder", name="alice")
BOB_ADMIN = join(BOB, role="admin", name="bob", at=NOW + 1)
CAROL_BY_BOB = join(CAROL, by=BOB, role="admin", name="carol", at=NOW + 2)
DAVE_BY_CAROL = join(DAVE, by=CAROL, name="dave", at=NOW + 3)
EVE_BY_ROOT = join(EVE, name="eve", at=NOW + 4)
STORY: list[Fact] = [
    FOUNDER,
    BOB_ADMIN,
    CAROL_BY_BOB,
    DAVE_BY_CAROL,
    EVE_BY_ROOT,
    join(DAVE, by=BOB, name="dave again", at=NOW + 5),
    revoke(EVE_BY_ROOT, by=CAROL, at=NOW + 6),
    revoke(BOB_ADMIN, by=CAROL, at=NOW + 7),
    revoke(CAROL_BY_BOB, by=BOB, at=NOW + 8),
    revoke(DAVE_BY_CAROL, by=DAVE, at=NOW + 9),
    revoke(FOUNDER, by=BOB, at=NOW + 9),
]


def test_empty() -> None:
    known = facts()
    assert len(known) == 0
    assert known.members(NOW) == {}
    assert known.member(BOB.node_id, NOW) is None
    assert not known.is_revoked(BOB.node_id)
    assert known.ids() == known.encoded() == known.proof(BOB.node_id) == []


def test_a_fact_is_new_once() -> None:
    known = facts(FOUNDER)
    assert FOUNDER in known
    assert EVE_BY_ROOT not in known
    assert not known.add(FOUNDER)
    assert list(known) == [FOUNDER]
    assert known.memberships(ALICE.node_id) == [FOUNDER]


def test_members_and_admins() -> None:
    known = facts(*STORY[:5])
    assert {one.name for one in known.members(NOW).values()} == {"alice", "bob", "carol", "dave", "eve"}
    assert known.is_admin(ALICE.node_id, NOW)
    assert known.is_admin(CAROL.node_id, NOW)
    assert not known.is_admin(DAVE.node_id, NOW)
    assert not known.is_admin("nobody", NOW)


def test_other_meshes_and_forgeries_are_not_taken_in() -> None:
    known = facts(FOUNDER)
    stranger = Facts(RootKey.generate().public_key)
    assert not stranger.add(FOUNDER)
    assert not known.add(msgspec.structs.replace(EVE_BY_ROOT, signature=bytes(64)))
    assert not known.add(join(EVE, by=DAVE))
    known.add(BOB_ADMIN)
    assert not known.add(msgspec.structs.replace(CAROL_BY_BOB, signature=b""))
    assert known.add(CAROL_BY_BOB)


def test_what_comes_early_waits_for_its_chain() -> None:
    known = facts()
    forged = msgspec.structs.replace(DAVE_BY_CAROL, signature=b"forged")
    for early in (forged, DAVE_BY_CAROL, DAVE_BY_CAROL, CAROL_BY_BOB):
        assert not known.add(early)
    assert known.add(BOB_ADMIN)
    assert set(known.members(NOW)) == {BOB.node_id, CAROL.node_id, DAVE.node_id}
    assert known.member(DAVE.node_id, NOW) == DAVE_BY_CAROL


def test_waiting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    monkeypatch.setattr(module, "MAX_WAITING_PER_ISSUER", 2)
    known = facts()
    for number in range(4):
        known.add(join(EVE, by=BOB, name=f"{number}", at=NOW + 1))
    for number in range(4, 6):
        known.add(join(DAVE, by=CAROL, name=f"{number}", at=NOW + 2))
    known.add(BOB_ADMIN)
    assert [one.name for one in known.memberships(EVE.node_id)] == ["1"]  # 2 and 3 were too many, 0 the oldest
    known.add(CAROL_BY_BOB)
    assert len(known.memberships(DAVE.node_id)) == 2


def test_the_set_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FACTS", 6)
    monkeypatch.setattr(module, "MAX_FACTS_OF_NODES", 3)
    monkeypatch.setattr(module, "MAX_FACTS_PER_NODE", 2)
    known = facts(BOB_ADMIN, CAROL_BY_BOB)
    assert known.add(join(DAVE, by=BOB, at=NOW + 3))
    assert not known.add(join(EVE, by=BOB, at=NOW + 3))
    assert known.add(join(EVE, by=CAROL, at=NOW + 3))
    assert not known.add(join(ALICE, by=CAROL, at=NOW + 3))
    assert known.add(FOUNDER)
    assert known.add(EVE_BY_ROOT)
    assert not known.add(join(DAVE))


def test_merge_skips_what_makes_no_sense() -> None:
    known = facts()
    new = known.merge([b"nonsense", encode_fact(CAROL_BY_BOB), encode_fact(BOB_ADMIN), encode_fact(BOB_ADMIN)])
    assert new == [BOB_ADMIN, CAROL_BY_BOB]


def test_digest_and_missing() -> None:
    one, two = facts(FOUNDER, BOB_ADMIN), facts(BOB_ADMIN, FOUNDER)
    assert one.digest() == one.digest() == two.digest()
    one.add(CAROL_BY_BOB)
    two.add(EVE_BY_ROOT)
    assert one.digest() != two.digest()
    assert two.merge(one.missing(two.ids())) == [CAROL_BY_BOB]
    assert one.merge(two.missing(one.ids())) == [EVE_BY_ROOT]
    assert one.digest() == two.digest()
    assert one.missing(two.ids()) == []
    assert one.ids()[0] == fact_id(FOUNDER)


def test_a_proof_convinces_whoever_knows_the_root() -> None:
    known = facts(*STORY[:5])
    stranger = facts()
    assert stranger.merge(known.proof(DAVE.node_id)) == [BOB_ADMIN, CAROL_BY_BOB, DAVE_BY_CAROL]
    assert stranger.member(DAVE.node_id, NOW) == DAVE_BY_CAROL
    assert set(facts().merge(known.proof(EVE.node_id))) == {EVE_BY_ROOT}


def test_expiry() -> None:
    known = facts(join(BOB, expires=NOW + 10))
    assert known.member(BOB.node_id, NOW + 9)
    assert known.member(BOB.node_id, NOW + 10) is None
    assert known.members(NOW + 10) == {}
    assert not known.is_revoked(BOB.node_id)


def test_the_newest_and_highest_counts() -> None:
    old, new = join(BOB, name="old", at=NOW), join(BOB, name="new", at=NOW + 1)
    known = facts(new, old)
    assert known.member(BOB.node_id, NOW) == new
    admin = join(BOB, role="admin", at=NOW - 100)
    known.add(admin)
    assert known.member(BOB.node_id, NOW) == admin
    known.add(revoke(admin))
    assert known.member(BOB.node_id, NOW) == new


def test_times_of_issue_never_run_backwards() -> None:
    known = facts(BOB_ADMIN, EVE_BY_ROOT)
    assert known.issue_time("root", DAVE.node_id, NOW + 0.5) == NOW
    assert known.issue_time(BOB.node_id, DAVE.node_id, 0) == BOB_ADMIN.issued
    assert known.issue_time(BOB.node_id, EVE.node_id, 0) == EVE_BY_ROOT.issued + 1


@given(st.permutations(STORY), st.randoms())
def test_any_order_comes_to_the_same(order: list[Fact], chance: random.Random) -> None:
    expected = facts(*STORY)
    known = facts()
    known.merge(encode_fact(fact) for fact in order)
    assert known.digest() == expected.digest()
    assert known.members(NOW) == expected.members(NOW)


@given(st.lists(st.sets(st.sampled_from(STORY), max_size=8), min_size=2, max_size=4), st.randoms())
def test_any_parts_converge(parts: list[set[Fact]], chance: random.Random) -> None:
    """Whoever heard whatever: once all have exchanged, all know the same."""
    nodes = [facts() for _ in parts]
    for node, part in zip(nodes, parts, strict=True):
        shuffled = sorted(part, key=fact_id)
        chance.shuffle(shuffled)
        node.merge(encode_fact(fact) for fact in shuffled)
    whole = facts()
    whole.merge(encode_fact(fact) for part in parts for fact in part)
    for _ in range(len(nodes) + 1):  # what waited comes to count only when its chain arrives, so once is not enough
        for node in nodes:
            for other in nodes:
                node.merge(other.missing(node.ids()))
    taken = {fact_id(fact) for node in nodes for fact in node}
    assert all(set(node.ids()) == taken for node in nodes)
    assert len({node.digest() for node in nodes}) == 1
    assert taken <= set(whole.ids())
    assert all(node.members(NOW) == nodes[0].members(NOW) for node in nodes)


def test_every_node_of_the_story_is_known() -> None:
    assert set(facts(*STORY).members(NOW)) <= {node.node_id for node in NODES}
    assert facts(*STORY).root_public_key == ROOT_KEY.public_key


def test_names() -> None:
    members = {one.node_id: one for one in (join(ALICE, name="a"), join(BOB, name="pi"), join(CAROL, name="pi"))}
    assert display_names(members) == {
        ALICE.node_id: "a",
        BOB.node_id: f"pi ({BOB.node_id[:6]})",
        CAROL.node_id: f"pi ({CAROL.node_id[:6]})",
    }
    assert display_names({}) == {}
