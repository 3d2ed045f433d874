"""`atmosphere network` names every kind of router rightly, and says what to expect of it."""

from __future__ import annotations

from functools import partial
from typing import Literal

import pytest

from tests.lab.coturn import PORT, start_coturn
from tests.lab.household import Member
from tests.lab.probing import at_once
from tests.lab.routers import KINDS, Kind
from tests.lab.topology import Lab

pytestmark = [
    pytest.mark.needs("netns", "coturn"),
    pytest.mark.lab,
]

NAMES: dict[Kind | Literal["none"], str] = {
    "none": "open",
    "full-cone": "full-cone",
    "restricted-cone": "restricted-cone",
    "port-restricted": "port-restricted-cone",
    "symmetric": "symmetric",
    "udp-blocked": "udp-blocked",
}


def test_every_router_is_named(lab: Lab) -> None:
    box = lab.public("box", addresses=2)
    start_coturn(box, *box.addresses)
    members = [Member(lab.machine(place, place)) for place in NAMES]
    asking = (partial(member.json, "network", "--stun", f"stun:{box.address}:{PORT}") for member in members)
    for (place, name), found in zip(NAMES.items(), at_once(*asking), strict=True):
        assert (place, found["nat"]["type"]) == (place, name)
        if place in KINDS:
            assert (found["nat"]["mapping"], found["nat"]["filtering"]) == KINDS[place]
        public = found["public"]["ipv4"]
        assert (public is None) is (place == "udp-blocked")


def test_without_any_internet_it_says_so(lab: Lab) -> None:
    box = lab.public("box")
    home = lab.home("home", "port-restricted")
    box.unplug()
    found = Member(home.machine("host")).json("network", "--stun", f"stun:{box.address}:{PORT}")
    assert found["public"] == {"ipv4": None, "ipv6": None}
    assert found["nat"]["type"] in {"unknown", "udp-blocked"}
