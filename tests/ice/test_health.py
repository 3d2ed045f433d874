"""atmosphere.ice.health."""

from __future__ import annotations

from atmosphere.ice.health import ServerHealth, ServerTable


async def test_settled_once_every_server_has_answered_or_failed() -> None:
    table = ServerTable()
    assert table.settled.is_set()
    table.replace({"stun:a": "stun", "turn:b": "turn"})
    assert not table.settled.is_set()
    table.answered("stun:a", 0.02, ("203.0.113.1", 7))
    assert not table.settled.is_set()
    table.failed("turn:b", "wrong user name or password")
    assert table.settled.is_set()
    assert table.report() == [
        ServerHealth("stun:a", "stun", True, 20.0, None, ("203.0.113.1", 7)),
        ServerHealth("turn:b", "turn", False, None, "wrong user name or password"),
    ]


async def test_what_is_known_of_a_server_that_stays_is_kept() -> None:
    table = ServerTable()
    table.replace({"stun:a": "stun", "stun:b": "stun"})
    table.answered("stun:a", 0.02, ("203.0.113.1", 7))
    table.replace({"stun:a": "stun"})
    assert table.settled.is_set()
    table.answered("stun:a", None, ("203.0.113.1", 8))
    table.answered("stun:b", 0.1, ("203.0.113.1", 8))
    table.failed("stun:b", "gone")
    assert table.report() == [ServerHealth("stun:a", "stun", True, 20.0, None, ("203.0.113.1", 8))]
