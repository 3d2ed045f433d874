"""Who belongs, on disk at once: two rosters of one mesh, and one of none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from atmosphere.errors import Refused
from atmosphere.identity import Identity
from atmosphere.mesh import contacts
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.store import Home
from tests.mesh.fakes import code_of, founder, granted, member
from tests.mesh.people import CAROL


def contact_of(identity: Identity, stamp: float = 0.0) -> bytes:
    contact = contacts.Contact(identity.node_id, time.time() + stamp, [], ["ws://192.0.2.1"])
    return contacts.sign(contact, identity.sign)


def test_before_the_first_join(tmp_path: Path) -> None:
    roster = Roster(Home.init_identity_only(tmp_path, "laptop"))
    assert (roster.mesh_id, roster.mesh_id_bytes, roster.mesh_name, roster.own_name) == ("", b"", "", "laptop")
    assert (roster.members(), roster.own_chain(), roster.fact_ids(), roster.facts_beyond([])) == ({}, [], [], [])
    assert roster.add_facts([b"noise"]) == []
    assert roster.farewell() == []
    assert not roster.is_member
    assert not roster.may_invite()
    for call in (lambda: roster.root_public_key, lambda: roster.issue(CAROL.public_key, "carol")):
        with pytest.raises(Refused):
            call()


def test_the_founder(tmp_path: Path) -> None:
    home, roster = founder(tmp_path)
    assert (roster.own_id, roster.own_name, roster.mesh_name) == (home.identity.node_id, "alpha", "home")
    assert (roster.role(roster.own_id), roster.role(CAROL.node_id)) == ("founder", "none")
    assert roster.may_invite()
    assert (roster.name(CAROL.node_id), roster.display_name(CAROL.node_id)) == (CAROL.node_id[:8],) * 2
    assert (roster.public_key(roster.own_id), roster.public_key(CAROL.node_id)) == (home.identity.public_key, None)


def test_whom_it_makes_a_member_is_one_on_disk(tmp_path: Path) -> None:
    home, roster = founder(tmp_path)
    heard: list[bytes] = []
    roster.on_facts = heard.extend
    facts = roster.issue(CAROL.public_key, "carol")
    assert heard == facts
    again = Roster(Home.load(home.path))
    assert again.name(CAROL.node_id) == "carol"
    assert again.digest() == roster.digest()


def test_only_admins_have_a_say(tmp_path: Path) -> None:
    _, alpha = founder(tmp_path)
    _, beta = member(tmp_path, "beta", alpha)
    assert not beta.may_invite()
    with pytest.raises(Refused, match="only the founder and admins invite"):
        beta.issue(CAROL.public_key, "carol")
    with pytest.raises(Refused, match="only the founder and admins remove"):
        beta.revoke(alpha.own_id)
    beta.add_facts(alpha.promote(beta.own_id))
    assert beta.may_invite()
    alpha.add_facts(beta.issue(CAROL.public_key, "carol"))
    assert alpha.role(CAROL.node_id) == "member"
    with pytest.raises(Refused, match="only a member can be promoted"):
        alpha.promote("x" * 52)


def test_whom_it_removes_is_none(tmp_path: Path) -> None:
    _, alpha = founder(tmp_path)
    home, beta = member(tmp_path, "beta", alpha)
    alpha.add_contacts([contact_of(home.identity)])
    assert alpha.contacts.get(beta.own_id) is not None
    facts = alpha.revoke(beta.own_id)
    assert alpha.member(beta.own_id) is None
    assert alpha.contacts.get(beta.own_id) is None
    beta.add_facts(facts)
    assert not beta.is_member
    assert beta.farewell() == []


def test_a_farewell_removes_oneself(tmp_path: Path) -> None:
    _, alpha = founder(tmp_path)
    _, beta = member(tmp_path, "beta", alpha)
    alpha.add_facts(beta.farewell())
    assert alpha.members().keys() == {alpha.own_id}


def test_what_the_other_side_lacks(tmp_path: Path) -> None:
    _, alpha = founder(tmp_path)
    _, beta = member(tmp_path, "beta", alpha)
    alpha.issue(CAROL.public_key, "carol")
    lacking = alpha.facts_beyond(beta.fact_ids())
    assert beta.add_facts(lacking) == lacking
    assert beta.digest() == alpha.digest()
    assert alpha.facts_beyond(beta.fact_ids()) == []


def test_a_grant_must_be_of_the_codes_mesh_and_for_us(tmp_path: Path) -> None:
    _, alpha = founder(tmp_path)
    _, other = founder(tmp_path, "other")
    home = Home.init_identity_only(tmp_path / "beta", "beta")
    beta = Roster(home)
    with pytest.raises(Refused, match="another mesh"):
        beta.adopt(code_of(alpha), granted(other, home.identity), "beta")
    with pytest.raises(Refused, match="does not make this node a member"):
        beta.adopt(code_of(alpha), granted(alpha, home.identity), "beta")
    assert beta.mesh_id == ""


def test_contacts_are_kept_if_they_are_news_and_signed(tmp_path: Path) -> None:
    home, alpha = founder(tmp_path)
    member_home, beta = member(tmp_path, "beta", alpha)
    new, old = contact_of(member_home.identity), contact_of(member_home.identity, -60)
    assert alpha.add_contacts([new, old, new, b"noise", contact_of(CAROL)]) == [new]
    assert alpha.add_contacts([]) == []
    again = Roster(Home.load(home.path))
    found = again.contacts.get(beta.own_id)
    assert found is not None
    assert found.signaling == ["ws://192.0.2.1"]


def test_a_contact_of_somebody_else_counts_for_nothing(tmp_path: Path) -> None:
    home, alpha = founder(tmp_path)
    member_home, _ = member(tmp_path, "beta", alpha)
    forged = contacts.Contact(member_home.identity.node_id, time.time(), [], [])
    assert alpha.add_contacts([contacts.sign(forged, home.identity.sign)]) == []
