from __future__ import annotations

import pytest

from atmosphere.turn.server.policy import MAX_FORMER, PeerPolicy, Reach
from atmosphere.turn.server.settings import TurnSettings
from tests.turn.server.script import LOCAL, LOCAL6, PEER, PUBLIC, PUBLIC6, SETTINGS, World, code

REFUSED = [
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "255.255.255.255",
    "250.0.0.1",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
    "2002:c0a8:101::1",
]


@pytest.mark.parametrize("host", REFUSED)
def test_what_is_not_public_is_refused_with_403(host: str) -> None:
    world = World()
    client = world.client()
    client.allocate(additional_address_family=2 << 24)
    assert code(client.permit((host, 7777))) == code(client.bind(peer=(host, 7777))) == 403
    client.send(b"x", (host, 7777))
    assert [relay.sent for relay in world.host.relays] == [[], []]


@pytest.mark.parametrize("host", ["203.0.113.9", "8.8.8.8", "2001:db8:9::1", "2607:f8b0::1", "::ffff:8.8.8.8"])
def test_what_is_public_may_be_reached(host: str) -> None:
    assert PeerPolicy(SETTINGS).reach(host) is Reach.OUTSIDE


def test_its_own_addresses_are_refused_but_for_those_it_relays_on() -> None:
    policy = PeerPolicy(TurnSettings(addresses={LOCAL: PUBLIC, LOCAL6: PUBLIC6}, own_addresses=("203.0.113.77",)))
    assert policy.reach(PUBLIC) is policy.reach(PUBLIC6) is Reach.INSIDE
    for own in (LOCAL, LOCAL6, "203.0.113.77", f"::ffff:{LOCAL}", "64:ff9b::203.0.113.77", "2002:cb00:714d::1"):
        assert policy.reach(own) is Reach.REFUSED
    assert policy.reach("203.0.113.78") is Reach.OUTSIDE
    policy.add_own(["203.0.113.78"])
    assert policy.reach("203.0.113.78") is Reach.REFUSED


def test_what_an_operator_allows_may_be_reached() -> None:
    allowed = ("10.1.0.0/16", "127.0.0.1/32", "fd00::/8", f"{LOCAL}/32")
    policy = PeerPolicy(TurnSettings(addresses={LOCAL: PUBLIC}, allow_peers=allowed))
    for host in ("10.1.2.3", "127.0.0.1", "fd12::1", LOCAL):
        assert policy.reach(host) is Reach.OUTSIDE
    for host in ("10.2.0.1", "127.0.0.2", "fc00::1", "::ffff:10.1.2.3"):
        assert policy.reach(host) is Reach.REFUSED


def test_addresses_and_programs_change() -> None:
    policy = PeerPolicy(SETTINGS)
    assert policy.way((PUBLIC, 7777)) is None
    program, own = ("198.51.100.2", 7777), (LOCAL, 7777)
    policy.move({LOCAL: "198.51.100.2"}, {program: own})
    assert policy.way(program) == own
    assert policy.known_as(own) == program
    assert policy.known_as(("203.0.113.1", 1)) == ("203.0.113.1", 1)
    assert policy.way(("198.51.100.2", 1)) is None
    assert policy.way(("10.0.0.1", 1)) is None
    assert policy.way(PEER) == PEER


SPELLINGS = ("::ffff:198.51.100.1", "::ffff:0:198.51.100.1", "64:ff9b::198.51.100.1", "2002:c633:6401::1")


@pytest.mark.parametrize("host", SPELLINGS)
def test_another_spelling_of_its_public_address_is_no_way_around(host: str) -> None:
    policy = PeerPolicy(SETTINGS)
    assert policy.reach(host) is Reach.REFUSED
    policy.move({LOCAL: "198.51.100.2"}, {})
    assert policy.reach(host) is policy.reach("::ffff:0:198.51.100.2") is Reach.REFUSED
    assert policy.reach("64:ff9b::198.51.100.3") is Reach.OUTSIDE


def test_a_former_public_address_stays_its_own() -> None:
    policy = PeerPolicy(SETTINGS)
    policy.move({LOCAL: "198.51.100.2"}, {})
    assert policy.reach(PUBLIC) is policy.reach("198.51.100.2") is Reach.INSIDE
    assert policy.way((PUBLIC, 7777)) is None
    for number in range(100):
        policy.move({LOCAL: f"203.0.113.{number}"}, {})
        policy.move({LOCAL: "198.51.100.2"}, {})
    assert len(policy._former) == MAX_FORMER
    assert policy.reach("203.0.113.99") is Reach.INSIDE
    assert policy.reach("203.0.113.9") is Reach.OUTSIDE


def test_the_systems_addresses_come_and_go() -> None:
    policy = PeerPolicy(SETTINGS)
    policy.here(["2001:db8:7::1%eth0", "203.0.113.1"])
    assert policy.reach("2001:db8:7::1") is policy.reach("::ffff:203.0.113.1") is Reach.REFUSED
    policy.here(["2001:db8:7::2"])
    assert policy.reach("2001:db8:7::1") is policy.reach("203.0.113.1") is Reach.OUTSIDE
    assert policy.reach("2001:db8:7::2") is policy.reach(LOCAL) is Reach.REFUSED
