"""What happens to networks, in the middle of a transfer: it finishes intact on the same stream, after a short silence.

Every silence is measured by the receiver, between two arrivals of bytes.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.lab.couriers import Courier, Silence, transferring
from tests.lab.household import Relay
from tests.lab.pipe import Conditions
from tests.lab.topology import Lab
from tests.lab.translation import NatKind

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab, pytest.mark.xdist_group("transfers")]

LONGEST = float(os.environ.get("LAB_SILENCE", "6"))
"""Seconds of silence that a moment may cost: 3 on a machine that does nothing else (make lab), and twice that beside
other tests, which take processors away at any moment."""

OUTAGE = 10.0


def short(silence: Silence) -> None:
    assert silence.seconds <= LONGEST, silence


def two(lab: Lab) -> tuple[Relay, Courier, Courier]:
    """The public helper, and two behind home routers of the usual kind."""
    relay = Relay(lab.public("box"))
    anna, ben = (Courier(lab.machine(name, "port-restricted"), *relay.options) for name in ("anna", "ben"))
    return relay, anna, ben


def test_the_router_gives_other_ports(lab: Lab) -> None:
    """NAT rebinding: the old mappings are gone and the new ones are others."""
    relay = Relay(lab.public("box"))
    home = lab.home("anna-home", NatKind.parse("EI-APD-random"))
    anna = Courier(home.machine("anna"), *relay.options)
    ben = Courier(lab.machine("ben", "port-restricted"), *relay.options)
    transfer = transferring(anna, ben)
    transfer.under_way()
    home.forget_flows()
    short(transfer.finished())


def test_the_routers_public_address_changes(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    home = lab.home("ben-home", "port-restricted")
    anna = Courier(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Courier(home.machine("ben"), *relay.options)
    transfer = transferring(anna, ben)
    transfer.under_way()
    home.move()
    short(transfer.finished())


@pytest.mark.matrix
def test_the_machine_gets_another_address(lab: Lab) -> None:
    _, anna, ben = two(lab)
    transfer = transferring(anna, ben)
    transfer.under_way()
    anna.machine.readdress()
    short(transfer.finished())


@pytest.mark.parametrize("mover", ["receiver", pytest.param("sender", marks=pytest.mark.matrix)])
def test_from_wifi_to_a_hotspot(lab: Lab, mover: str) -> None:
    """The old card and its address are gone; another card has another network and the default route."""
    relay = Relay(lab.public("box"))
    hotspot = lab.home("hotspot", "port-restricted")
    anna = Courier(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Courier(lab.machine("ben", "port-restricted"), *relay.options)
    transfer = transferring(anna, ben)
    transfer.under_way()
    (anna if mover == "receiver" else ben).machine.move_to(hotspot)
    short(transfer.finished())


@pytest.mark.matrix
def test_both_sides_get_other_public_addresses_at_once(lab: Lab) -> None:
    """Neither can tell the other over the link: what is left is signaling."""
    relay = Relay(lab.public("box"))
    homes = [lab.home(f"{name}-home", "port-restricted") for name in ("anna", "ben")]
    anna, ben = (Courier(home.machine(home.name.partition("-")[0]), *relay.options) for home in homes)
    transfer = transferring(anna, ben)
    transfer.under_way()
    for home in homes:
        home.move()
    short(transfer.finished())


@pytest.mark.matrix
def test_the_server_is_killed(lab: Lab) -> None:
    """Signaling, STUN and the relay are gone; the direct path needs none of them."""
    relay, anna, ben = two(lab)
    transfer = transferring(anna, ben)
    transfer.under_way()
    relay.program.kill()
    short(transfer.finished())


def test_the_relay_dies_where_a_direct_path_has_become_possible(lab: Lab) -> None:
    """At first each home's packets do not reach the other's, and everything goes over the relay."""
    relay = Relay(lab.public("box"))
    one, other = lab.home("anna-home", "port-restricted"), lab.home("ben-home", "port-restricted")
    one.shun(other.outside)
    anna, ben = Courier(one.machine("anna"), *relay.options), Courier(other.machine("ben"), *relay.options)
    transfer = transferring(anna, ben, "relay")
    transfer.under_way()
    one.readmit(other.outside)
    relay.program.kill()
    short(transfer.finished())


def test_the_direct_path_turns_into_a_black_hole(lab: Lab) -> None:
    """Nobody is told anything; a good relay is there."""
    relay = Relay(lab.public("box"))
    one, other = lab.home("anna-home", "port-restricted"), lab.home("ben-home", "port-restricted")
    anna, ben = Courier(one.machine("anna"), *relay.options), Courier(other.machine("ben"), *relay.options)
    transfer = transferring(anna, ben)
    transfer.under_way()
    one.shun(other.outside)
    short(transfer.finished())


def test_a_link_that_is_down_for_ten_seconds(lab: Lab) -> None:
    """Nothing can help meanwhile; three seconds after it is back the bytes flow."""
    relay = Relay(lab.public("box"))
    home = lab.home("ben-home", "port-restricted", link=Conditions())
    anna = Courier(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Courier(home.machine("ben"), *relay.options)
    transfer = transferring(anna, ben)
    transfer.under_way()
    assert home.link is not None
    home.link.down()
    time.sleep(OUTAGE)  # the outage is what this test is about
    home.link.up()
    back = time.monotonic()
    silence = transfer.finished()
    assert silence.ended - back <= LONGEST, (silence, back)
    assert silence.seconds > OUTAGE - 1


@pytest.mark.matrix
def test_a_node_that_sleeps_for_ten_seconds(lab: Lab) -> None:
    """A laptop's lid: everything stops, and the clock jumps when it goes on."""
    _, anna, ben = two(lab)
    transfer = transferring(anna, ben)
    transfer.under_way()
    ben.program.pause()
    time.sleep(OUTAGE)  # the lid is closed for so long
    ben.program.resume()
    back = time.monotonic()
    silence = transfer.finished()
    assert silence.ended - back <= LONGEST, (silence, back)
