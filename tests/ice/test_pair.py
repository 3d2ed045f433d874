"""Pairs: priority, rank, what can be paired, and the report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atmosphere.ice.candidate import Candidate, TcpType
from atmosphere.ice.pair import (
    CandidatePair,
    PairState,
    PathClass,
    can_pair,
    pair_priority,
)
from atmosphere.ice.tcp_candidates import tcp_host
from tests.ice.vnet import make_candidate

HOST = make_candidate("host", ("192.0.2.1", 1))
RELAY = make_candidate("relay", ("192.0.2.9", 1))


def pair(local: Candidate, remote: Candidate) -> CandidatePair:
    return CandidatePair(base=1, base_candidate=local, remote=remote, local=local, due_at=0.0)


def test_both_sides_compute_one_priority() -> None:
    assert pair_priority(5, 9) == (5 << 32) + 18
    assert pair_priority(9, 5) == (5 << 32) + 19
    here = pair(replace(HOST, priority=9), replace(HOST, priority=5))
    there = pair(replace(HOST, priority=5), replace(HOST, priority=9))
    assert here.rank(True) == there.rank(False)
    assert here.rank(False) == there.rank(True)


def test_direct_ranks_before_relayed_whatever_the_numbers() -> None:
    direct = pair(replace(HOST, priority=1), replace(HOST, priority=1))
    for relayed in (pair(RELAY, HOST), pair(HOST, RELAY)):
        assert relayed.is_relayed
        assert direct.rank(True) > relayed.rank(True)


@pytest.mark.parametrize(
    ("one", "two", "fits"),
    [
        ("192.0.2.1", "10.0.0.1", True),
        ("192.0.2.1", "2001:db8::1", False),
        ("127.0.0.1", "127.0.0.2", True),
        ("127.0.0.1", "192.0.2.1", False),
        ("::1", "2001:db8::1", False),
        ("fe80::1", "fe80::2", True),
        ("fe80::1", "2001:db8::1", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("169.254.1.1", "192.0.2.1", True),
    ],
)
def test_what_can_be_paired(one: str, two: str, fits: bool) -> None:
    a, b = make_candidate("host", (one, 1)), make_candidate("host", (two, 1))
    assert can_pair(a, b) == can_pair(b, a) == fits


def test_round_trips_are_smoothed() -> None:
    p = pair(HOST, HOST)
    p.sample_rtt(0.8)
    assert p.rtt == 0.8
    p.sample_rtt(0.0)
    assert p.rtt == pytest.approx(0.7)


def test_the_report_says_how_it_stands() -> None:
    p = pair(HOST, RELAY)
    p.why, p.checks_sent = "no answer within 5 s", 7
    report = p.report(selected=False)
    assert (report.state, report.relayed, report.checks_sent, report.why) == (
        "waiting",
        True,
        7,
        "no answer within 5 s",
    )
    p.state = PairState.SUCCEEDED
    assert p.is_valid
    assert p.report(selected=True).selected
    assert p.key == (1, ("192.0.2.9", 1))


def tcp(tcp_type: TcpType, address: str = "192.0.2.1") -> Candidate:
    return tcp_host(make_candidate("host", (address, 1)), tcp_type, 7777)


@pytest.mark.parametrize(
    ("one", "two", "fits"),
    [
        (tcp("active"), tcp("passive"), True),
        (tcp("so"), tcp("so"), True),
        (tcp("active"), tcp("active"), False),
        (tcp("passive"), tcp("passive"), False),
        (tcp("so"), tcp("passive"), False),
        (tcp("active"), HOST, False),
        (tcp("active"), tcp("passive", "127.0.0.1"), False),
    ],
    ids=["active-passive", "so-so", "active-active", "passive-passive", "so-passive", "tcp-udp", "loopback"],
)
def test_what_can_be_paired_over_tcp(one: Candidate, two: Candidate, fits: bool) -> None:
    assert can_pair(one, two) == can_pair(two, one) == fits


def test_direct_udp_ranks_before_direct_tcp_and_that_before_relays() -> None:
    best = replace(tcp("active"), priority=2**31 - 1)
    over_tcp, relayed = pair(best, tcp("passive")), pair(RELAY, HOST)
    direct = pair(replace(HOST, priority=1), replace(HOST, priority=1))
    assert direct.rank(True) > over_tcp.rank(True) > relayed.rank(True)
    assert [one.path_class for one in (direct, over_tcp, relayed)] == [
        PathClass.DIRECT_UDP,
        PathClass.DIRECT_TCP,
        PathClass.RELAYED,
    ]
    assert [one.is_without_udp for one in (direct, over_tcp, relayed)] == [False, True, False]
