"""atmosphere.mesh.hardnat_told: what follows from what both sides said. Whole searches are in test_hardnat."""

from __future__ import annotations

from typing import Final

import pytest

from atmosphere.ice.hardnat.allocation import UNKNOWN, PortAllocation
from atmosphere.ice.hardnat.plan import NotTried, Plan
from atmosphere.ice.nat import Behaviour, NatBehaviour
from atmosphere.mesh.hardnat_own import OwnNat
from atmosphere.mesh.hardnat_rules import tell
from atmosphere.mesh.hardnat_told import FAN_TRIES, Told
from tests.mesh.fakes import FakeSession
from tests.mesh.hardnat_fakes import Endpoint, Link

HARD: Final = "address-and-port-dependent"
EASY: Final = "endpoint-independent"
SEQUENTIAL = PortAllocation("sequential", 1, 5000)


class Side:
    """Our side of a link; the other side hears nothing, and told of `theirs`."""

    def __init__(self, ours: Behaviour, theirs: Behaviour, allocation: PortAllocation = UNKNOWN) -> None:
        self.endpoint = Endpoint(ours, "203.0.113.1")
        self.endpoint.nat.allocation = allocation
        self.link = Link("b", FakeSession())
        self.link.other = Link("a", FakeSession())
        self.link.other.hears = lambda message: False
        self.told = Told(self.link.real, OwnNat(self.endpoint.real, searches=True))
        self.told.theirs = tell(NatBehaviour(theirs), SEQUENTIAL, ("203.0.113.2", 7777), searches=True)


def test_what_our_nat_does_is_said_when_it_is_news() -> None:
    side = Side(HARD, EASY)
    side.told.tell()
    side.told.tell()
    assert len(side.link.said) == 1
    side.endpoint.nat.public = ("203.0.113.9", 7777)
    side.told.tell()
    assert len(side.link.said) == 2


@pytest.mark.parametrize(("ours", "theirs", "part"), [(HARD, EASY, "open"), (EASY, HARD, "probe")])
def test_the_part_is_the_plans(ours: Behaviour, theirs: Behaviour, part: str) -> None:
    for is_sampled in (False, True):
        found = Side(ours, theirs).told.plan(is_sampled=is_sampled)
        assert isinstance(found, Plan)
        assert found.part == part


def test_without_an_address_of_our_own_there_is_no_plan_yet() -> None:
    side = Side(HARD, EASY)
    side.endpoint.nat.public = None
    assert side.told.plan() == NotTried("no STUN server answers this side", is_final=False)


def test_two_hard_ones_need_ports_that_were_seen() -> None:
    seen, unseen = Side(HARD, HARD, SEQUENTIAL).told, Side(HARD, HARD).told
    for found in (seen.plan(), seen.plan(is_sampled=True), unseen.plan()):
        assert isinstance(found, Plan)
        assert found.part == "fan"
    found = unseen.plan(is_sampled=True)
    assert isinstance(found, NotTried)
    assert "could not be seen" in found.reason


@pytest.mark.parametrize(
    ("ours", "theirs", "times"), [(HARD, HARD, FAN_TRIES), (HARD, EASY, 1), (EASY, HARD, 1), (EASY, EASY, 1)]
)
def test_only_two_hard_ones_are_searched_for_again(ours: Behaviour, theirs: Behaviour, times: int) -> None:
    side = Side(ours, theirs)
    peer, networks, allowed = side.told.entry()
    assert (peer, allowed) == ("b", times)
    side.link.boot = b"restarted"
    assert side.told.entry()[1] != networks
