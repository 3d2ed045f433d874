"""atmosphere.mesh.reachability."""

from __future__ import annotations

import pytest

from atmosphere.ice.candidate import Candidate
from atmosphere.mesh.reachability import MAX_SHOWN, MOST, SHOWN_FOR, Place, Reachability
from atmosphere.turn.uri import parse_turn

STRANGER = "203.0.113.77"


def host(address: str, port: int = 7777) -> Candidate:
    return Candidate.from_sdp(f"f 1 udp 2113937151 {address} {port} typ host")


def srflx(address: str, base: str, port: int = 7777) -> Candidate:
    return Candidate.from_sdp(f"g 1 udp 1677729535 {address} {port} typ srflx raddr {base} rport 7777")


RELAYED = Candidate.from_sdp("h 1 udp 33562367 203.0.113.1 50000 typ relay raddr 192.168.1.5 rport 7777")
MAPPED = [host("192.168.1.5"), srflx("203.0.113.1", "192.168.1.5", 4242), RELAYED]


@pytest.mark.parametrize("address", ["9.9.9.9", "198.51.100.10", "198.18.0.1", "2620:fe::9"])
def test_an_address_that_is_routed_everywhere(address: str) -> None:
    [place] = Reachability().places([host(address)], 0.0)
    assert place == Place((address, 7777), (address, 7777))
    uri = parse_turn(place.uri).uri
    assert (uri.scheme, uri.host, uri.port, uri.transport) == ("turn", address, 7777, None)


@pytest.mark.parametrize("address", ["192.168.1.5", "10.1.1.1", "100.64.3.3", "127.0.0.1", "169.254.1.1", "fd00::1"])
def test_an_address_that_is_not(address: str) -> None:
    assert Reachability().places([host(address)], 0.0) == []


def test_a_port_of_tcp_alone_is_no_place() -> None:
    lines = ("host tcptype passive", "srflx raddr 9.9.9.9 rport 7777 tcptype passive")
    mapped = [Candidate.from_sdp(f"f 1 tcp 1518280447 9.9.9.9 7777 typ {line}") for line in lines]
    assert Reachability().places(mapped, 0.0) == []


def test_behind_a_router_a_strangers_check_shows_it() -> None:
    reachable = Reachability()
    assert reachable.places(MAPPED, 0.0) == []
    assert reachable.got_in(("192.168.1.5", 7777), STRANGER, 0.0)
    assert reachable.places(MAPPED, 0.0) == [Place(("192.168.1.5", 7777), ("203.0.113.1", 4242))]
    assert [place.uri for place in reachable.places(MAPPED, 0.0)] == ["turn:203.0.113.1:4242"]
    assert not reachable.got_in(("192.168.1.5", 7777), STRANGER, 0.0)


def test_a_port_that_the_router_opened_needs_no_stranger() -> None:
    """Only that one: what servers see of the same socket may be shut."""
    opened = [MAPPED[0], srflx("203.0.113.1", "192.168.1.5", 7777), *MAPPED[1:]]
    reachable = Reachability()
    assert reachable.places(opened, 0.0, {("203.0.113.1", 7777)}) == [
        Place(("192.168.1.5", 7777), ("203.0.113.1", 7777))
    ]
    assert reachable.places(opened, 1.0) == []
    private = [MAPPED[0], srflx("100.64.3.3", "192.168.1.5", 7777)]
    assert reachable.places(private, 0.0, {("100.64.3.3", 7777)}) == []


@pytest.mark.parametrize("source", ["192.168.1.9", "100.64.1.1", "127.0.0.1", "fe80::1"])
def test_a_neighbour_shows_nothing(source: str) -> None:
    reachable = Reachability()
    assert not reachable.got_in(("192.168.1.5", 7777), source, 0.0)
    assert reachable.places(MAPPED, 0.0) == []


def test_another_socket_shows_nothing_for_this_one() -> None:
    reachable = Reachability()
    reachable.got_in(("192.168.1.6", 7777), STRANGER, 0.0)
    assert reachable.places(MAPPED, 0.0) == []


def test_a_router_behind_a_router_is_nowhere() -> None:
    reachable = Reachability()
    reachable.got_in(("192.168.1.5", 7777), STRANGER, 0.0)
    assert reachable.places([host("192.168.1.5"), srflx("100.64.0.9", "192.168.1.5")], 0.0) == []


def test_each_place_once_and_a_few_of_them() -> None:
    many = [host(f"198.51.100.{number}") for number in range(1, 9)]
    assert len(Reachability().places([*many, *many], 0.0)) == MOST
    # Before a router that changes nothing, both are the same.
    reachable = Reachability()
    reachable.got_in(("198.51.100.1", 7777), STRANGER, 0.0)
    assert len(reachable.places([host("198.51.100.1"), srflx("198.51.100.1", "198.51.100.1")], 0.0)) == 1


HOME = ("192.168.1.5", 7777)
THERE = [Place(HOME, ("203.0.113.1", 4242))]


def test_what_was_shown_long_ago_is_forgotten() -> None:
    reachable = Reachability()
    assert reachable.got_in(HOME, STRANGER, 0.0)
    assert not reachable.got_in(HOME, STRANGER, 100.0)
    assert reachable.places(MAPPED, SHOWN_FOR + 99) == THERE
    assert reachable.places(MAPPED, SHOWN_FOR + 100) == []
    assert reachable.got_in(HOME, STRANGER, SHOWN_FOR + 101)


def test_what_is_used_is_not_forgotten() -> None:
    reachable = Reachability()
    reachable.in_use(THERE, 0.0)
    assert reachable.places(MAPPED, 0.0) == []
    reachable.got_in(HOME, STRANGER, 0.0)
    reachable.in_use(THERE, 3000.0)
    assert reachable.places(MAPPED, SHOWN_FOR) == THERE


def test_what_was_shown_ends_with_its_socket() -> None:
    reachable = Reachability()
    reachable.got_in(HOME, STRANGER, 0.0)
    assert reachable.places([host("192.168.1.6")], 1.0) == []
    assert reachable.places(MAPPED, 2.0) == []


def test_few_sockets_are_remembered() -> None:
    reachable = Reachability()
    reachable.got_in(HOME, STRANGER, 0.0)
    for port in range(MAX_SHOWN):
        reachable.got_in(("192.168.1.5", port + 1), STRANGER, 1.0)
    assert reachable.places(MAPPED, 2.0) == []
    assert len(reachable._shown) == 0
