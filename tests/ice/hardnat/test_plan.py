"""Who does what, for every pair of sides."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from atmosphere.ice.hardnat.allocation import PortAllocation
from atmosphere.ice.hardnat.plan import NotTried, Plan, Side, is_hard, leads, meeting_port, plan

RANDOM, COUNTS = PortAllocation("random", 0, 5000), PortAllocation("sequential", 1, 5000)
EASY, OPEN, UNKNOWN = Side("endpoint-independent"), Side("none"), Side()
HARD = Side("address-and-port-dependent", RANDOM)
BY_ADDRESS = Side("address-dependent", RANDOM)
SEQUENTIAL = Side("address-and-port-dependent", COUNTS)
PRESERVES = Side("address-and-port-dependent", PortAllocation("preserved", 0, 7777))
UNSEEN = Side("address-and-port-dependent")
KEEPS, CHANGES = Side(allocation=PortAllocation("preserved", 0, 7777)), Side(allocation=COUNTS)
SCATTERS = Side(allocation=RANDOM)
SIDES = [EASY, OPEN, UNKNOWN, KEEPS, CHANGES, SCATTERS, HARD, BY_ADDRESS, SEQUENTIAL, UNSEEN, PRESERVES]


@pytest.mark.parametrize(
    ("ours", "theirs", "part", "sockets", "probes"),
    [
        (HARD, EASY, "open", 256, 2000),
        (BY_ADDRESS, OPEN, "open", 256, 2000),
        (UNSEEN, EASY, "open", 256, 2000),
        (HARD, UNKNOWN, "open", 256, 2000),
        (UNKNOWN, EASY, "open", 256, 2000),
        (UNKNOWN, KEEPS, "open", 256, 2000),
        (KEEPS, CHANGES, "probe", 16, 400),
        (KEEPS, EASY, "open", 16, 400),
        (EASY, HARD, "probe", 256, 2000),
        (OPEN, UNSEEN, "probe", 256, 2000),
        (UNKNOWN, HARD, "probe", 256, 2000),
        (SEQUENTIAL, EASY, "open", 16, 400),
        (EASY, SEQUENTIAL, "probe", 16, 400),
        (SEQUENTIAL, SEQUENTIAL, "fan", 64, 0),
        (SEQUENTIAL, UNSEEN, "fan", 64, 0),
        (SEQUENTIAL, CHANGES, "fan", 64, 0),
        (SEQUENTIAL, SCATTERS, "open", 16, 400),
        (SCATTERS, SEQUENTIAL, "probe", 16, 400),
        (SEQUENTIAL, KEEPS, "open", 16, 400),
        (CHANGES, CHANGES, "fan", 64, 0),
        (SCATTERS, CHANGES, "open", 256, 2000),
        (CHANGES, SCATTERS, "probe", 256, 2000),
        (UNKNOWN, SCATTERS, "probe", 256, 2000),
        (KEEPS, KEEPS, "fan", 64, 0),
        (UNKNOWN, UNKNOWN, "fan", 64, 0),
        (PRESERVES, EASY, "open", 16, 400),
        (EASY, PRESERVES, "probe", 16, 400),
        (PRESERVES, SEQUENTIAL, "fan", 64, 0),
        (PRESERVES, PRESERVES, "fan", 64, 0),
        (UNSEEN, SEQUENTIAL, "fan", 64, 0),
        (UNSEEN, UNSEEN, "fan", 64, 0),
    ],
)
def test_the_part_we_play(ours: Side, theirs: Side, part: str, sockets: int, probes: int) -> None:
    found = plan(ours, theirs)
    assert isinstance(found, Plan)
    assert (found.part, found.sockets, found.probes) == (part, sockets, probes)


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (EASY, OPEN, "firewall"),
        (SCATTERS, SCATTERS, "too few servers"),
        (HARD, BY_ADDRESS, "on this side at random"),
        (SEQUENTIAL, HARD, "on the other side at random"),
        (HARD, SEQUENTIAL, "on this side at random"),
        (UNSEEN, HARD, "on the other side at random"),
        (HARD, replace(EASY, udp_blocked=True), "no UDP gets out on the other side"),
        (replace(HARD, udp_blocked=True), EASY, "no UDP gets out on this side"),
        (HARD, replace(EASY, searches=False), "switched off on the other side"),
        (replace(HARD, searches=False), EASY, "switched off on this side"),
    ],
)
def test_why_nothing_is_tried(ours: Side, theirs: Side, reason: str) -> None:
    found = plan(ours, theirs)
    assert isinstance(found, NotTried)
    assert reason in found.reason


def test_both_sides_come_to_matching_parts() -> None:
    for one, two in product(SIDES, repeat=2):
        ours, theirs = plan(one, two), plan(two, one)
        assert isinstance(ours, Plan) == isinstance(theirs, Plan), (one, two)
        if isinstance(ours, Plan) and isinstance(theirs, Plan):
            parts = {ours.part, theirs.part}
            assert parts in ({"open", "probe"}, {"fan"}), (one, two)
            assert replace(ours, part="fan") == replace(theirs, part="fan")


def test_what_rests_on_a_presumption() -> None:
    presumed = [
        (CHANGES, CHANGES),
        (SEQUENTIAL, CHANGES),
        (HARD, UNKNOWN),
        (UNKNOWN, EASY),
        (EASY, CHANGES),
        (UNKNOWN, KEEPS),
    ]
    known = [(HARD, EASY), (HARD, KEEPS), (KEEPS, HARD), (SEQUENTIAL, PRESERVES)]
    for pairs, expected in ((presumed, True), (known, False)):
        for ours, theirs in pairs:
            found = plan(ours, theirs)
            assert isinstance(found, Plan)
            assert found.is_presumed == expected, (ours, theirs)


def test_what_is_hard() -> None:
    assert [is_hard(side.mapping) for side in SIDES] == [False] * 6 + [True] * 5


def test_more_may_be_known_before_long() -> None:
    for ours, theirs in ((SCATTERS, SCATTERS), (EASY, EASY)):
        found = plan(ours, theirs)
        assert isinstance(found, NotTried)
        assert found.is_final == (ours is EASY)


def test_where_two_fans_meet() -> None:
    assert meeting_port(COUNTS, [4999, 5000]) == 5032
    assert meeting_port(PortAllocation("sequential", -2, 1030), []) == 65478
    assert meeting_port(PortAllocation("preserved", 0, 7777), [40000, 50000]) == 40000
    assert meeting_port(PortAllocation("preserved", 0, 7777), []) == 0


def test_exactly_one_side_begins() -> None:
    assert leads("probe", is_first=False)
    assert not leads("open", is_first=True)
    assert leads("fan", is_first=True)
    assert not leads("fan", is_first=False)
