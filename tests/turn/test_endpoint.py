"""atmosphere.turn.endpoint."""

from __future__ import annotations

from atmosphere.turn.endpoint import TurnEndpoint


def test_no_secret_is_in_a_repr() -> None:
    end = TurnEndpoint(
        ("relay.example", 443),
        "wss",
        "anna",
        "hunter2",
        url="wss://relay.example/turn",
        proxy="http://ben:swordfish@proxy.example:3128",
    )
    assert "relay.example" in repr(end)
    for secret in ("anna", "hunter2", "ben", "swordfish"):
        assert secret not in repr(end)
