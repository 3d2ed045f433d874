"""Bad weather: the link survives and data flows, on one stream, for as long as it lasts."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.lab.couriers import Courier, transferring
from tests.lab.household import Relay
from tests.lab.pipe import Conditions
from tests.lab.topology import Lab

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab, pytest.mark.xdist_group("transfers")]

LONGEST = float(os.environ.get("LAB_SILENCE", "6"))
"""Seconds of silence that a path may cost which has become narrow; twice what it may on a machine that is quiet."""
SLOWLY = 20_000.0
"""Bytes a second: what the worst of it can carry."""


EVERYTHING = {"delay": 0.05, "jitter": 0.1, "reorder": 0.1, "duplicate": 0.1, "loss": 0.02}


@pytest.mark.parametrize("seconds", [15, pytest.param(120, marks=pytest.mark.matrix)])
@pytest.mark.parametrize(
    "weather",
    [{"delay": 0.3}, pytest.param(EVERYTHING, marks=pytest.mark.matrix)],
    ids=["RTT 600 ms", "a bit of everything"],
)
def test_nodes_meet_and_the_link_survives_while_data_flows(lab: Lab, weather: dict[str, Any], seconds: int) -> None:
    relay = Relay(lab.public("box"))
    home = lab.home("ben-home", "port-restricted", link=Conditions(**weather))
    anna = Courier(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Courier(home.machine("ben"), *relay.options)
    transferring(anna, ben, length=int(SLOWLY * seconds), rate=SLOWLY).finished(timeout=seconds * 3)


@pytest.mark.parametrize("seconds", [15, pytest.param(120, marks=pytest.mark.matrix)])
def test_a_third_of_all_packets_is_lost_and_the_link_survives(lab: Lab, seconds: int) -> None:
    relay = Relay(lab.public("box"))
    home = lab.home("ben-home", "port-restricted", link=Conditions())
    anna = Courier(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Courier(home.machine("ben"), *relay.options)
    transfer = transferring(anna, ben, length=int(SLOWLY * seconds), rate=SLOWLY)
    assert home.link is not None
    home.link.set(loss=0.3)
    transfer.finished(timeout=seconds * 3)


@pytest.mark.parametrize("when", [pytest.param("from the start", marks=pytest.mark.matrix), "in the middle"])
def test_long_packets_vanish_without_a_word(lab: Lab, when: str) -> None:
    """An MTU of 1280 and nobody who says so: the smallest that IPv6 allows, and what tunnels often have."""
    relay = Relay(lab.public("box"))
    narrow = Conditions(mtu=1280)
    home = lab.home("ben-home", "port-restricted", link=narrow if when == "from the start" else Conditions())
    anna = Courier(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Courier(home.machine("ben"), *relay.options)
    transfer = transferring(anna, ben, length=6_000_000, rate=3e6)
    transfer.under_way(1_000_000)
    assert home.link is not None
    home.link.set(mtu=1280)
    silence = transfer.finished()
    assert silence.seconds <= LONGEST, silence
    # By then packets had grown to what Ethernet carries, so there were some to vanish.
    assert any(counts.too_long for counts in home.link.counts().values())


def test_both_sides_have_the_same_private_addresses(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    anna, ben = (
        Courier(lab.home(f"{name}-home", "port-restricted", inside="192.168.1").machine(name), *relay.options)
        for name in ("anna", "ben")
    )
    assert anna.machine.address == ben.machine.address
    transferring(anna, ben, length=2_000_000).finished()
