from __future__ import annotations

from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS


def test_several_operators() -> None:
    operators = {server.split(":")[1].split(".", 1)[-1] for server in DEFAULT_STUN_SERVERS}
    assert len(operators) >= 3
    assert all(server.startswith("stun:") for server in DEFAULT_STUN_SERVERS)
