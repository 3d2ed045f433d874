from __future__ import annotations

from typing import Any

import pytest

from atmosphere.turn.server.settings import TurnSettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"realm": ""},
        {"realm": "x" * 129},
        {"min_port": 0},
        {"max_port": 65536},
        {"min_port": 10, "max_port": 9},
        {"single_relay_port": 65536},
        {"addresses": {"192.0.2.1": "2001:db8::1"}},
        {"addresses": {"relay.example": "192.0.2.1"}},
        {"allow_peers": ("10.0.0.1/8",)},
        {"own_addresses": ("here",)},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TurnSettings(**wrong)


def test_where_a_relayed_address_is_opened() -> None:
    addresses = {"192.0.2.1": "198.51.100.1", "192.0.2.2": "198.51.100.2", "2001:db8::1": "2001:db8::1"}
    settings = TurnSettings(addresses=addresses)
    assert settings.relay_address(4, "192.0.2.2") == ("192.0.2.2", "198.51.100.2")
    assert settings.relay_address(4, "2001:db8::1") == ("192.0.2.1", "198.51.100.1")
    assert settings.relay_address(6, "192.0.2.1") == ("2001:db8::1", "2001:db8::1")
    assert TurnSettings().relay_address(4, "192.0.2.1") is None
