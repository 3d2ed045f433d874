"""Every hard pair that can be direct becomes so, in the middle of a transfer over the relay that arrives intact."""

from __future__ import annotations

import pytest

from tests.lab.couriers import Courier, Told, transferring
from tests.lab.household import Relay
from tests.lab.machines import Machine
from tests.lab.pipe import Conditions
from tests.lab.routers import Kind
from tests.lab.topology import Lab
from tests.lab.translation import NatKind

pytestmark = [pytest.mark.needs("netns"), pytest.mark.matrix]

LONGEST = 3.0
"""Seconds of silence that the change to the direct path may cost."""


def became_direct(what: Told) -> bool:
    return what.get("event") == "PathChanged" and (what["path"] or [""])[0] == "direct"


def becomes_direct(lab: Lab, one: Machine, other: Machine) -> None:
    """A film of 15 seconds on its way over the relay; the path is direct before it has arrived."""
    relay = Relay(lab.public("box"))
    anna, ben = (Courier(machine, *relay.options) for machine in (one, other))
    transfer = transferring(anna, ben, "relay", length=60_000_000)
    for courier in (anna, ben):
        courier.until(became_direct, "a direct path", 25)
    assert transfer.finished().seconds <= LONGEST


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("symmetric", "port-restricted"),
        ("sequential", "port-restricted"),
        ("port-restricted", NatKind.parse("APD-APD-sequential")),
        ("address-symmetric", "port-restricted"),
        ("sequential", "sequential"),
    ],
    ids=["random", "sequence", "sequence of the other", "by address", "two sequences"],
)
def test_a_hard_pair(lab: Lab, one: Kind, other: Kind | NatKind) -> None:
    becomes_direct(lab, lab.machine("anna", one), lab.machine("ben", other))


@pytest.mark.parametrize("inner", ["port-restricted", "symmetric"])
def test_a_home_behind_its_carriers_nat(lab: Lab, inner: Kind) -> None:
    carrier = lab.home("carrier", "symmetric", inside="100.64.0")
    home = lab.home("anna-home", inner, behind=carrier)
    becomes_direct(lab, home.machine("anna"), lab.machine("ben", "port-restricted"))


def test_a_slow_path_with_loss(lab: Lab) -> None:
    weather = Conditions(delay=0.02, loss=0.025)
    anna, ben = lab.home("anna-home", "symmetric", link=weather), lab.home("ben-home", "port-restricted", link=weather)
    relay = Relay(lab.public("box"))
    one, other = (Courier(home.machine(name), *relay.options) for home, name in ((anna, "anna"), (ben, "ben")))
    transfer = transferring(one, other, "relay", length=2_000_000, rate=1e5)
    for courier in (one, other):
        courier.until(became_direct, "a direct path", 30)
    transfer.finished(90)
