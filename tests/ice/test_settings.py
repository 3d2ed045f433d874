"""atmosphere.ice.settings."""

from __future__ import annotations

from atmosphere.ice.settings import IceSettings, parse_stun, parse_turn

STUN = parse_stun("a.example")
TURN = parse_turn("turn:u:hidden@b.example")


def test_a_policy_leaves_out_servers_it_has_no_use_for() -> None:
    for policy, stun, turn in (("any", 1, 1), ("direct", 1, 0), ("relay", 0, 1)):
        settings = IceSettings(policy=policy).with_servers((STUN,), (TURN,))  # type: ignore[arg-type]
        assert (len(settings.stun), len(settings.turn)) == (stun, turn)


def test_each_server_counts_once_with_its_latest_credentials() -> None:
    newer = parse_turn("turn:b.example", username="u", password="newer")
    settings = IceSettings().with_servers((STUN, STUN), (TURN, newer))
    assert settings.stun == (STUN,)
    assert settings.turn == (newer,)


def test_no_credentials_in_its_repr() -> None:
    assert "hidden" not in repr(IceSettings(turn=(TURN,)))
