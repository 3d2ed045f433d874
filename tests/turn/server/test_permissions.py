from __future__ import annotations

from atmosphere.turn.server.permissions import Permissions


def test_they_last_five_minutes() -> None:
    permissions = Permissions(10)
    assert not permissions.allows("203.0.113.1", 0)
    assert permissions.grant({"203.0.113.1"}, 0)
    assert permissions.allows("203.0.113.1", 299.9)
    assert not permissions.allows("203.0.113.1", 300)
    assert permissions.grant({"203.0.113.1"}, 200)
    assert permissions.allows("203.0.113.1", 499)


def test_all_or_none_within_the_limit() -> None:
    permissions = Permissions(2)
    assert permissions.grant({"a", "b"}, 0)
    assert not permissions.grant({"b", "c"}, 100)
    assert (permissions.until["b"], len(permissions)) == (300, 2)
    assert permissions.grant({"c"}, 300)
    assert list(permissions.until) == ["c"]
