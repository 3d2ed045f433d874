"""Every kind of router against every other: each pair connects, and directly wherever theory allows (`make lab`)."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Literal

import pytest

from tests.lab.coturn import start_coturn
from tests.lab.household import Member, Relay, all_connected, joined
from tests.lab.routers import KINDS, Kind
from tests.lab.topology import Lab

pytestmark = [pytest.mark.needs("netns", "coturn"), pytest.mark.matrix, pytest.mark.xdist_group("lab")]

Place = Kind | Literal["none"]
PLACES: tuple[Place, ...] = ("none", *KINDS, "udp-blocked")


def directly(one: Place, other: Place) -> bool:
    """Whether an ordinary hole punch is enough: a changing port must not meet a filter on ports."""
    if "udp-blocked" in (one, other):
        return False
    pair = {one, other}
    return "symmetric" not in pair or bool(pair & {"none", "full-cone", "restricted-cone"})


@pytest.mark.parametrize(("one", "other"), list(combinations_with_replacement(PLACES, 2)))
def test_every_pair_connects(lab: Lab, one: Place, other: Place) -> None:
    box = lab.public("box")
    relay = Relay(box)
    turn = start_coturn(box)
    options = (*relay.options, "--turn", turn, "--turn", f"{turn}?transport=tcp")
    host, joiner = Member(lab.machine("host", one), *options), Member(lab.machine("joiner", other), *options)
    host.found()
    joined(joiner, host.code())
    all_connected([host, joiner], "direct" if directly(one, other) else None)


@pytest.mark.parametrize("kind", list(KINDS))
def test_households_with_the_same_private_addresses(lab: Lab, kind: Kind) -> None:
    """Half the world's routers use 192.168.1.0/24: the other side's host candidate is then a stranger at home."""
    relay = Relay(lab.public("box"))
    one = Member(lab.home("one-home", kind, inside="192.168.1").machine("one"), *relay.options)
    other = Member(lab.home("other-home", "full-cone", inside="192.168.1").machine("other"), *relay.options)
    one.found()
    joined(other, one.code())
    all_connected([one, other], "direct")
