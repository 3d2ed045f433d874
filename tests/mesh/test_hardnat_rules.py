"""What is told of a NAT, and how often a search may be."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from atmosphere.ice.hardnat.allocation import PortAllocation
from atmosphere.ice.hardnat.plan import Side
from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh import hardnat_rules as module
from atmosphere.mesh.hardnat_rules import BURST, REFILL, UNTOLD, Ledger, behaviour_in, network_of, side_in, tell

HARD = NatBehaviour("address-and-port-dependent", "unknown", None, "symmetric")
COUNTS = PortAllocation("sequential", 2, 4000)


def test_what_is_told_is_understood() -> None:
    nat = tell(HARD, COUNTS, ("203.0.113.1", 4000), searches=True)
    assert side_in(nat) == Side(HARD.mapping, COUNTS)
    assert behaviour_in(nat) == HARD
    assert (nat.address, nat.port) == ("203.0.113.1", 4000)


def test_blocked_and_unknown_nats_are_told_too() -> None:
    blocked = tell(NatBehaviour(type="udp-blocked"), PortAllocation(), None, searches=False)
    assert (blocked.address, blocked.port, blocked.udp_blocked, blocked.searches) == ("", 0, True, False)
    assert behaviour_in(blocked).type == "udp-blocked"
    assert side_in(blocked) == Side(udp_blocked=True, searches=False)
    assert behaviour_in(UNTOLD).type == "unknown"


def test_a_sequence_without_a_step_is_none() -> None:
    nat = tell(HARD, replace(COUNTS, step=0), None, searches=True)
    assert side_in(nat).allocation.kind == "unknown"


def test_ports_do_not_make_another_network() -> None:
    nat = tell(HARD, COUNTS, ("203.0.113.1", 4000), searches=True)
    same = msgspec.structs.replace(nat, port=5000, last_port=5000, allocation="random", step=0)
    assert network_of(nat) == network_of(same)
    for change in ({"address": "203.0.113.2"}, {"mapping": "endpoint-independent"}, {"udp_blocked": True}):
        assert network_of(msgspec.structs.replace(nat, **change)) != network_of(nat)


def test_once_a_pair_of_networks() -> None:
    ledger = Ledger()
    assert ledger.begin("anna", "home", 0.0)
    assert not ledger.may("anna", "home")
    assert not ledger.begin("anna", "home", 1.0)
    assert ledger.begin("ben", "home", 1.0)
    assert ledger.begin("anna", "café", 1.0)
    assert ledger.begin("anna", "home", 2.0)
    ledger.undo("anna")
    ledger.undo("nobody")
    assert ledger.begin("anna", "home", 3.0)


def test_a_few_times_where_that_is_asked_for() -> None:
    ledger = Ledger()
    assert [ledger.begin("anna", "home", 0.0, 3) for _ in range(4)] == [True, True, True, False]


def test_whoever_tells_of_ever_new_networks_is_slowed_down() -> None:
    ledger = Ledger()
    begun = [ledger.begin("mallory", number, 0.0) for number in range(100)]
    assert sum(begun) == BURST
    assert ledger.begin("mallory", "later", 1 / REFILL + 1)
    assert not ledger.begin("mallory", "too soon", 1 / REFILL + 2)


def test_peers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEERS", 2)
    ledger = Ledger()
    for name in ("anna", "ben", "cleo"):
        assert ledger.begin(name, "home", 0.0)
    assert ledger.may("anna", "home")
    assert not ledger.may("ben", "home")
