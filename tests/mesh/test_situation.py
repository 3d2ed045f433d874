"""What follows from what is known of both ends."""

from __future__ import annotations

import pytest

from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh.info import ServerInfo
from atmosphere.mesh.situation import Attempt, Side, Situation
from tests.mesh.situations import (
    CONE,
    DIRECT,
    FULL_CONE,
    OPEN,
    RELAYED,
    SYMMETRIC,
    away,
    candidate,
    nat,
    pair,
    relayed,
    side,
)


@pytest.mark.parametrize(
    ("behaviour", "hard", "is_open", "easy", "lets_in"),
    [
        (OPEN, False, True, True, False),
        (CONE, False, False, True, False),
        (FULL_CONE, False, False, True, True),
        (nat("endpoint-independent", "address-dependent"), False, False, True, True),
        (SYMMETRIC, True, False, False, False),
        (nat("address-dependent"), True, False, False, False),
        (NatBehaviour(), False, False, False, False),
    ],
)
def test_sides(behaviour: NatBehaviour, hard: bool, is_open: bool, easy: bool, lets_in: bool) -> None:
    one = Side(behaviour)
    assert (one.is_hard, one.is_open, one.is_easy, one.lets_in) == (hard, is_open, easy, lets_in)


def test_what_is_not_known_is_no_reason() -> None:
    nothing = Situation("bob", "offline")
    assert not nothing.connected
    assert not nothing.is_relayed
    assert not nothing.has_relay
    assert not nothing.one_network
    assert nothing.failed_attempt is None
    assert nothing.sides == (Side(), Side())


def test_paths() -> None:
    assert relayed().is_relayed
    assert not relayed(path=DIRECT).is_relayed
    assert not away(path=RELAYED).is_relayed
    assert not relayed(path=None).connected


def test_relays_are_ours_or_the_peers() -> None:
    relay = candidate("relay", "198.51.100.7", 50000)
    direct, over = pair(), pair(remote=relay)
    assert relayed(pairs=(direct, over)).direct == (direct,)
    assert away(pairs=(over,)).has_relay
    assert away(relays=(ServerInfo("turn:a", True),)).has_relay
    assert not away(relays=(ServerInfo("turn:a", False),)).has_relay


def test_one_network_is_one_address_outside_and_one_range_inside() -> None:
    same = side(CONE, 1)
    assert relayed(there=side(CONE, 1, lan=("192.168.1.99", 7777))).one_network
    assert not relayed(there=side(CONE, 1, lan=("10.0.0.1", 7777))).one_network
    assert not relayed(here=side(lan=None), there=same).one_network
    assert not relayed(there=side(CONE, 7, lan=("192.168.1.99", 7777))).one_network


def test_an_attempt_that_runs_has_not_failed() -> None:
    failed = Attempt("ice", True, 9.0, "why")
    assert away(attempt=failed).failed_attempt is failed
    assert away(attempt=Attempt("ice", True, 9.0)).failed_attempt is None
