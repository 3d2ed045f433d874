from __future__ import annotations

import pytest

from atmosphere.turn.server.users import RestUsers, Several, StaticUsers, Users, identity_of
from signaling.turn_credentials import TurnCredentialSource

NOW = 1_800_000_000.0


def test_static_users() -> None:
    users = StaticUsers({"anna": "secret"})
    assert (users.password("anna", NOW), users.password("ben", NOW)) == ("secret", None)
    assert identity_of(users, "anna") == "anna"
    assert "secret" not in repr(users)


def test_what_signaling_mints_is_accepted_until_it_ends() -> None:
    minted = TurnCredentialSource(("turn:relay.example",), "shared", ttl=60).mint("node", NOW)
    users = RestUsers("shared")
    assert users.password(minted.username, NOW) == minted.password
    assert users.password(minted.username, NOW + 60) is None
    assert "shared" not in repr(users)


@pytest.mark.parametrize(
    "name", ["", "x", ":id", "-5:id", "1e9:id", "１８００００００６０:id", "9" * 13, f"{int(NOW) + 31 * 86400}"]
)
def test_names_that_nobody_minted(name: str) -> None:
    assert RestUsers("shared").password(name, NOW) is None


def test_quotas_go_by_id() -> None:
    users = RestUsers("shared")
    assert identity_of(users, "1800000060:anna") == identity_of(users, "1800000090:anna") == ":anna"
    assert identity_of(users, "1800000060") == "1800000060"
    assert identity_of(users, "no expiry:x") == "no expiry:x"


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="everybody"):
        RestUsers("")


def test_several() -> None:
    users: Users = Several([StaticUsers({"anna": "secret"}), RestUsers("shared")])
    assert users.password("anna", NOW) == "secret"
    assert users.password(f"{int(NOW) + 9}:x", NOW) is not None
    assert users.password("nobody", NOW) is None
    assert identity_of(users, "1800000060:x") == ":x"
    assert identity_of(users, "anna") == "anna"
