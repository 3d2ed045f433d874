"""What pairs give away about NATs."""

from __future__ import annotations

from dataclasses import replace

from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh.nat_evidence import ours, public_addresses, theirs
from tests.mesh.situations import CONE, HOST, SYMMETRIC, candidate, pair

UNKNOWN = NatBehaviour()
INSIDE = "192.168.1.10"
SEEN = candidate("srflx", "203.0.113.1", 7777, INSIDE)
SEEN_ELSEWHERE = candidate("prflx", "203.0.113.1", 40001, INSIDE)
RELAY = candidate("relay", "198.51.100.7", 50000, "203.0.113.1")
THEIRS = candidate("srflx", "203.0.113.7", 7777, "192.168.7.20")
THEIRS_ELSEWHERE = candidate("prflx", "203.0.113.7", 50123)


def test_what_was_told_is_believed() -> None:
    assert ours(CONE, [SEEN], [pair(SEEN_ELSEWHERE)]) is CONE
    assert theirs(SYMMETRIC, [pair(remote=THEIRS, state="succeeded")]) is SYMMETRIC


def test_nothing_is_known_of_who_was_never_seen() -> None:
    assert ours(UNKNOWN, [HOST, RELAY], [pair(), pair(RELAY)]) == UNKNOWN
    assert theirs(UNKNOWN, [pair()]) == UNKNOWN
    assert ours(UNKNOWN, [HOST, SEEN], [pair()]).mapping == "unknown"


def test_two_ports_of_one_socket_are_a_symmetric_nat() -> None:
    found = ours(UNKNOWN, [HOST, SEEN, RELAY], [pair(SEEN_ELSEWHERE, RELAY, "succeeded")])
    assert (found.mapping, found.type) == ("address-and-port-dependent", "symmetric")
    other_server = candidate("srflx", "203.0.113.1", 40002, INSIDE)
    assert ours(UNKNOWN, [HOST, SEEN, other_server], []).type == "symmetric"


def test_two_addresses_are_two_ways_out() -> None:
    second_line = candidate("srflx", "203.0.113.2", 7777, INSIDE)
    assert ours(UNKNOWN, [SEEN, second_line], []).mapping == "unknown"
    other_card = candidate("srflx", "203.0.113.1", 7778, "192.168.1.11")
    assert ours(UNKNOWN, [SEEN, other_card], []).mapping == "unknown"


def test_what_a_relay_discovers_is_not_our_nat() -> None:
    of_relay = replace(candidate("prflx", "203.0.113.1", 9, INSIDE), priority=100)
    assert ours(UNKNOWN, [SEEN], [pair(of_relay, state="succeeded")]).mapping == "unknown"


def test_a_peer_that_sees_what_the_server_saw_confirms_it() -> None:
    found = ours(UNKNOWN, [HOST, SEEN], [pair(SEEN, THEIRS, "succeeded")])
    assert (found.mapping, found.type) == ("endpoint-independent", "port-restricted-cone")
    found = theirs(UNKNOWN, [pair(HOST, THEIRS, "succeeded")])
    assert (found.mapping, found.type) == ("endpoint-independent", "port-restricted-cone")


def test_a_public_address_of_ones_own_is_no_nat() -> None:
    assert ours(UNKNOWN, [candidate("host", "203.0.113.5")], []).type == "open"
    assert theirs(UNKNOWN, [pair(remote=candidate("host", "203.0.113.5"))]).type == "open"


def test_checks_that_come_from_another_port_are_a_symmetric_nat() -> None:
    pairs = [pair(remote=THEIRS), pair(RELAY, THEIRS_ELSEWHERE, "succeeded")]
    assert theirs(UNKNOWN, pairs).type == "symmetric"
    assert theirs(UNKNOWN, pairs[1:]).type == "unknown"
    second_socket = candidate("srflx", "203.0.113.7", 7778, "192.168.7.21")
    assert theirs(UNKNOWN, [*pairs, pair(remote=second_socket)]).type == "unknown"


def test_ipv6_and_relays_say_nothing_of_a_nat() -> None:
    six = candidate("srflx", "2001:db8::1", 1, "fd00::1"), candidate("srflx", "2001:db8::1", 2, "fd00::1")
    assert ours(UNKNOWN, six, []).mapping == "unknown"
    assert theirs(UNKNOWN, [pair(remote=one) for one in six]).mapping == "unknown"


def test_public_addresses() -> None:
    shared = candidate("srflx", "100.64.0.9", 7777, INSIDE)
    found = public_addresses([HOST, SEEN, RELAY, shared, candidate("host", "2001:db8::5")])
    assert found == {"203.0.113.1", "100.64.0.9", "2001:db8::5"}
