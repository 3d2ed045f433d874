"""atmosphere.mesh.relay_users."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.credentials import DialSecret
from atmosphere.identity import Identity
from atmosphere.mesh.relay_users import RelayUsers
from atmosphere.turn.server.users import Users
from tests.mesh.people import ALICE, BOB, CAROL, EVE

MESH = bytes(range(20))


class Mesh:
    """A mesh whose members come and go."""

    def __init__(self, *members: Identity) -> None:
        self.id = MESH
        self.keys = {one.node_id: one.public_key for one in members}

    def users(self, identity: Identity) -> RelayUsers:
        return RelayUsers(identity, lambda: self.id, self.keys.get)


def test_both_sides_know_the_password() -> None:
    mesh = Mesh(ALICE, BOB, CAROL)
    users: Users = mesh.users(ALICE)
    password = users.password(BOB.node_id, 0.0)
    assert password is not None
    assert password == mesh.users(BOB).own_password(ALICE.node_id)
    others = {mesh.users(BOB).own_password(CAROL.node_id), mesh.users(BOB).password(ALICE.node_id, 0.0)}
    assert password not in others


def test_it_ends_with_the_membership() -> None:
    mesh = Mesh(ALICE, BOB)
    users = mesh.users(ALICE)
    assert users.password(BOB.node_id, 0.0) is not None
    del mesh.keys[BOB.node_id]
    assert users.password(BOB.node_id, 0.0) is None
    assert users.own_password(BOB.node_id) is None


def test_another_mesh_has_other_passwords() -> None:
    mesh = Mesh(ALICE, BOB)
    users = mesh.users(ALICE)
    before = users.password(BOB.node_id, 0.0)
    mesh.id = bytes(20)
    assert users.password(BOB.node_id, 0.0) not in (before, None)


def test_strangers_and_we_ourselves_have_none() -> None:
    users = Mesh(ALICE, BOB).users(ALICE)
    assert users.password(EVE.node_id, 0.0) is None
    assert users.password(ALICE.node_id, 0.0) is None


def test_whoever_holds_an_invite_has_one_as_long_as_it_can_be_used() -> None:
    users, invite = Mesh(ALICE, BOB).users(ALICE), DialSecret(bytes(16))
    secrets = {invite.id: invite}
    users.invite_secret = secrets.get
    assert users.password(invite.id, 0.0) == invite.turn_password
    assert users.password("0" * 16, 0.0) is None
    del secrets[invite.id]
    assert users.password(invite.id, 0.0) is None


def test_a_member_whose_key_is_none_has_none() -> None:
    users = RelayUsers(ALICE, lambda: MESH, lambda node_id: b"not a key")
    assert users.password("somebody", 0.0) is None
    assert users.own_password("somebody") is None


@given(st.text(max_size=80))
def test_any_name_is_a_member_or_nobody(name: str) -> None:
    assert Mesh(ALICE, BOB).users(ALICE).password(name, 0.0) is None
