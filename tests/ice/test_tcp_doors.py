"""atmosphere.ice.tcp_doors: no peer has us try all the ports of a network."""

from __future__ import annotations

import pytest

from atmosphere.ice import tcp_doors as module
from atmosphere.ice.tcp_doors import AT_ONCE, EVERY, Doors


def admitted(doors: Doors, peer: str, ports: range, now: float = 0.0) -> int:
    return sum(doors.admits(peer, ("192.168.1.1", port), now) for port in ports)


def test_new_addresses_of_a_peer_are_few_and_those_that_are_known_are_free() -> None:
    doors = Doors()
    assert admitted(doors, "one", range(2000, 2100)) == AT_ONCE
    assert admitted(doors, "one", range(2000, 2100)) == AT_ONCE, "the same as before"
    assert admitted(doors, "two", range(2000, 2010)) == 10, "another peer"
    assert admitted(doors, "one", range(3000, 3100), now=2 * EVERY) == 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    doors = Doors()
    assert admitted(doors, "one", range(2000, 2000 + AT_ONCE)) == AT_ONCE
    assert len(doors._known) == 2
    assert admitted(doors, "one", range(2000, 2001)) == 0, "forgotten, and one too many"
