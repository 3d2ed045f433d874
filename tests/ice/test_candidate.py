"""Candidates: priorities, SDP there and back, and everything that is not one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.candidate import (
    Candidate,
    CandidateType,
    TcpType,
    candidate_priority,
    foundation,
    peer_reflexive_priority,
    tcp_priority,
)
from tests.ice.vnet import make_candidate

HOST = make_candidate("host", ("192.0.2.1", 7777))

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
TCP_CANDIDATES = st.builds(
    Candidate,
    foundation=st.text("abcXYZ019+/", min_size=1, max_size=32),
    component=st.just(1),
    transport=st.just("tcp"),
    priority=st.integers(1, 2**31 - 1),
    address=ADDRESSES,
    port=st.integers(1, 65535),
    type=st.sampled_from(["host", "srflx", "prflx"]),
    tcp_type=st.sampled_from(["passive", "so"]),
).filter(lambda candidate: candidate.is_usable)
CANDIDATES = TCP_CANDIDATES | st.builds(
    Candidate,
    foundation=st.text("abcXYZ019+/", min_size=1, max_size=32),
    component=st.just(1),
    transport=st.just("udp"),
    priority=st.integers(1, 2**31 - 1),
    address=ADDRESSES,
    port=st.integers(1, 65535),
    type=st.sampled_from(["host", "srflx", "prflx", "relay"]),
    relay_protocol=st.sampled_from([None, "udp", "tcp", "tls", "ws"]),
).filter(lambda candidate: candidate.is_usable)


def test_priority_is_the_rfcs_formula() -> None:
    assert candidate_priority("host") == 2130706431
    assert candidate_priority("srflx") == 1694498815
    assert candidate_priority("relay", 0, component=256) == 0
    kinds = [candidate_priority(kind, 5) for kind in ("host", "prflx", "srflx", "relay")]
    assert kinds == sorted(kinds, reverse=True)


def test_a_check_has_a_peer_reflexive_priority_and_a_relays_stays_a_relays() -> None:
    assert peer_reflexive_priority(HOST) == candidate_priority("prflx", 65535)
    relay = make_candidate("relay", ("192.0.2.1", 1), preference=7)
    assert peer_reflexive_priority(relay) == relay.priority
    assert not replace(HOST, type="prflx", priority=peer_reflexive_priority(HOST)).is_relayed
    assert replace(HOST, type="prflx", priority=peer_reflexive_priority(relay)).is_relayed
    assert relay.is_relayed
    assert not replace(HOST, priority=1).is_relayed


def test_foundations_tell_type_base_server_and_protocol_apart() -> None:
    names = {
        foundation("srflx", "10.0.0.1", "198.51.100.1"),
        foundation("srflx", "10.0.0.1", "198.51.100.2"),
        foundation("srflx", "10.0.0.2", "198.51.100.1"),
        foundation("relay", "10.0.0.1", "198.51.100.1"),
        foundation("relay", "10.0.0.1", "198.51.100.1", "tcp"),
    }
    assert len(names) == 5
    assert foundation("host", "10.0.0.1") == foundation("host", "10.0.0.1")


@given(CANDIDATES, st.one_of(st.none(), st.tuples(ADDRESSES, st.integers(0, 65535))))
def test_sdp_there_and_back(candidate: Candidate, related: tuple[str, int] | None) -> None:
    if related is not None:
        candidate = replace(candidate, related_address=related[0], related_port=related[1])
    text = candidate.to_sdp()
    assert Candidate.from_sdp(text) == candidate
    assert Candidate.from_sdp("candidate:" + text) == Candidate.from_sdp("a=candidate:" + text) == candidate
    assert Candidate.from_sdp(text + " generation 0 ufrag x network-cost 999") == candidate


@given(st.one_of(st.text(), st.text("candite:0123456789. udptyhosrflxray ")))
def test_any_text_is_a_candidate_or_a_decode_error(text: str) -> None:
    try:
        candidate = Candidate.from_sdp(text)
    except DecodeError:
        return
    assert candidate.is_usable


@given(CANDIDATES, st.integers(0, 20), st.text(max_size=12))
def test_a_mutated_candidate_is_one_or_a_decode_error(candidate: Candidate, index: int, word: str) -> None:
    words = candidate.to_sdp().split()
    words[index % len(words)] = word
    try:
        Candidate.from_sdp(" ".join(words))
    except DecodeError:
        return


def test_chromes_candidate() -> None:
    text = "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 10.0.17.1 rport 46154 generation 0"
    candidate = Candidate.from_sdp(text)
    assert candidate.endpoint == ("203.0.113.7", 46154)
    assert (candidate.related_address, candidate.related_port) == ("10.0.17.1", 46154)
    assert candidate.family == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 1 udp 1 192.0.2.1 1 typ",
        "1 1 udp 1 192.0.2.1 1 type host",
        "1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "1 1 tcp 1 192.0.2.1 7777 typ host",
        "1 1 tcp 1 192.0.2.1 7777 typ host tcptype simultaneous",
        "1 1 tcp 1 192.0.2.1 7777 typ relay tcptype passive",
        "1 1 sctp 1 192.0.2.1 7777 typ host",
        "1 1 udp 1 192.0.2.1 1 typ hsot",
        "? 1 udp 1 192.0.2.1 1 typ host",
        "1 2 udp 1 192.0.2.1 1 typ host",
        "1 257 udp 1 192.0.2.1 1 typ host",
        "1 1 udp 0 192.0.2.1 1 typ host",
        "1 1 udp 4294967296 192.0.2.1 1 typ host",
        "1 1 udp -1 192.0.2.1 1 typ host",
        "1 1 udp 1 192.0.2.1 0 typ host",
        "1 1 udp 1 192.0.2.1 65536 typ host",
        "1 1 udp 1 192.0.2.1 ١ typ host",
        "1 1 udp 1 a1b2.local 1 typ host",
        "1 1 udp 1 224.0.0.1 1 typ host",
        "1 1 udp 1 255.255.255.255 1 typ host",
        "1 1 udp 1 :: 1 typ host",
        "1 1 udp 1 fe80::1%eth0 1 typ host",
        "1 1 udp 1 192.0.2.1 1 typ srflx raddr nowhere rport 1",
        "1 1 udp 1 192.0.2.1 1 typ host" + " x" * 300,
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        Candidate.from_sdp(text)


def test_half_a_related_address_and_a_strange_relay_protocol_are_dropped() -> None:
    candidate = Candidate.from_sdp("1 1 UDP 1 192.0.2.1 1 typ relay raddr 192.0.2.9 relay-protocol pigeon")
    assert candidate.related_address is None
    assert candidate.relay_protocol is None


def test_a_candidate_without_an_ip_address_is_not_usable() -> None:
    assert not replace(HOST, address="example.org").is_usable
    assert HOST.is_usable


def test_tcp_priorities_are_rfc_6544s_formula() -> None:
    assert tcp_priority("host", "passive", 0) == (90 << 24) + (4 << 21) + 255
    order: list[tuple[CandidateType, TcpType]] = [
        *(("host", "active"), ("host", "passive"), ("host", "so")),
        *(("prflx", "so"), ("prflx", "active"), ("prflx", "passive")),
        *(("srflx", "so"), ("srflx", "active"), ("srflx", "passive")),
    ]
    ranked = [tcp_priority(kind, tcp_type, 5) for kind, tcp_type in order]
    assert ranked == sorted(ranked, reverse=True)
    assert tcp_priority("host", "so") < 1 << 31


def test_a_check_over_tcp_has_the_priority_of_a_tcp_candidate() -> None:
    passive = replace(
        HOST, transport="tcp", tcp_type="passive", priority=tcp_priority("host", "passive", 17), port=8000
    )
    assert peer_reflexive_priority(passive) == tcp_priority("prflx", "passive", 17)
    assert not replace(passive, type="prflx", priority=peer_reflexive_priority(passive)).is_relayed


def test_libwebrtcs_tcp_candidate() -> None:
    text = "candidate:1 1 tcp 1518280447 203.0.113.7 443 typ host tcptype passive generation 0 network-id 1"
    candidate = Candidate.from_sdp(text)
    assert (candidate.transport, candidate.tcp_type, candidate.endpoint) == ("tcp", "passive", ("203.0.113.7", 443))
    assert Candidate.from_sdp("1 1 udp 1 192.0.2.1 7777 typ host tcptype passive").tcp_type is None
