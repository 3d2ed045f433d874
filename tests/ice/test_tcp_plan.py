"""atmosphere.ice.tcp_plan: UDP first, then TCP, again and again, and only while it is needed."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.ice.candidate import Candidate, tcp_priority
from atmosphere.ice.pair import PathClass
from atmosphere.ice.tcp_candidates import tcp_host
from atmosphere.ice.tcp_plan import (
    BACK_OFF,
    CONNECTING,
    HEAD_START,
    LINGER,
    MAX_REMOTES,
    PACE,
    TcpPlan,
    is_allowed,
)
from tests.ice.vnet import make_candidate

LOCAL = tcp_host(make_candidate("host", ("192.0.2.1", 7777)), "active")


def passive(number: int, port: int = 7777) -> Candidate:
    priority = tcp_priority("host", "passive", 300 - number)
    return Candidate.from_sdp(f"f 1 tcp {priority} 198.51.100.{number} {port} typ host tcptype passive")


def make(*remotes: Candidate) -> TcpPlan:
    plan = TcpPlan(0.0)
    for remote in remotes:
        assert plan.add_remote(LOCAL, remote, 0.0)
    return plan


def taken(plan: TcpPlan, now: float) -> Candidate | None:
    found = plan.take(now)
    return found[1] if found else None


def test_udp_has_a_head_start_and_the_best_goes_first() -> None:
    plan = make(passive(2), passive(1))
    assert plan.deadline() == HEAD_START
    assert plan.take(HEAD_START - 0.01) is None
    assert plan.take(HEAD_START) == (LOCAL, passive(1))
    assert plan.take(HEAD_START) is None, "the pace"
    assert plan.deadline() == HEAD_START + PACE
    assert taken(plan, HEAD_START + PACE) == passive(2)
    assert plan.deadline() == math.inf


def test_later_candidates_wait_for_nothing_but_their_turn() -> None:
    plan = make()
    assert plan.add_remote(LOCAL, passive(1), 5.0)
    assert not plan.add_remote(LOCAL, passive(1), 5.0), "known"
    assert taken(plan, 5.0) == passive(1)


def test_a_direct_path_over_udp_ends_it() -> None:
    plan = make(passive(1), passive(2))
    plan.selected(PathClass.RELAYED, 0.1)
    assert taken(plan, 1.0) == passive(1)
    plan.selected(PathClass.DIRECT_UDP, 2.0)
    assert plan.is_direct
    assert plan.take(50.0) is None
    assert plan.deadline() == 2.0 + LINGER
    plan.selected(PathClass.DIRECT_UDP, 10.0)
    assert not plan.has_no_need(1.9 + LINGER)
    assert plan.has_no_need(2.0 + LINGER)
    assert not plan.has_no_need(100.0), "said once"
    assert plan.deadline() == math.inf


def test_a_path_over_tcp_needs_no_other_connection() -> None:
    plan = make(passive(1), passive(2))
    assert taken(plan, 1.0) == passive(1)
    plan.connected(passive(1).endpoint)
    plan.selected(PathClass.DIRECT_TCP, 1.1)
    assert plan.take(9.0) is None
    assert plan.deadline() == math.inf


def test_failures_back_off_and_success_forgives() -> None:
    plan, now = make(passive(1)), 1.0
    for pause in (*BACK_OFF, BACK_OFF[-1]):
        assert taken(plan, now) == passive(1)
        plan.failed(passive(1).endpoint, "connection refused", now)
        assert plan.deadline() == now + pause
        now += pause
    assert taken(plan, now) == passive(1)
    plan.connected(passive(1).endpoint)
    plan.worked(passive(1).endpoint)
    plan.failed(passive(1).endpoint, "connection reset by peer", now)
    assert plan.deadline() == now + BACK_OFF[0]


def test_a_silent_connection_is_made_anew() -> None:
    plan = make(passive(1))
    assert taken(plan, 1.0) == passive(1)
    plan.connected(passive(1).endpoint)
    plan.selected(PathClass.DIRECT_TCP, 1.1)
    plan.lost(60.0)
    assert [report.why for report in plan.report()] == ["fell silent"]
    assert taken(plan, 60.0) == passive(1)


def test_a_path_that_moved_from_tcp_to_a_relay_tries_tcp_again() -> None:
    plan = make(passive(1), passive(2))
    assert taken(plan, 1.0) == passive(1)
    plan.connected(passive(1).endpoint)
    plan.selected(PathClass.DIRECT_TCP, 1.1)
    plan.selected(PathClass.RELAYED, 60.0)
    assert taken(plan, 60.0) == passive(2), "never tried yet"
    assert taken(plan, 61.0) == passive(1)


def test_when_udp_stops_everything_is_tried_at_once() -> None:
    plan, now = make(passive(1)), 1.0
    for _ in range(4):
        assert taken(plan, now) == passive(1)
        plan.failed(passive(1).endpoint, "connection refused", now)
        now = plan.deadline()
    plan.selected(PathClass.DIRECT_UDP, now - 1.0)
    assert plan.take(now) is None
    plan.selected(PathClass.RELAYED, now)
    assert taken(plan, now) == passive(1)


def test_a_connection_that_stands_beside_a_relay_is_left_alone() -> None:
    plan = make(passive(1))
    plan.selected(PathClass.RELAYED, 0.5)
    assert taken(plan, 1.0) == passive(1)
    plan.connected(passive(1).endpoint)
    plan.selected(PathClass.RELAYED, 2.0)
    plan.selected(PathClass.DIRECT_UDP, 3.0)
    plan.selected(PathClass.RELAYED, 4.0)
    assert plan.take(5.0) is None
    assert plan.report() == []


def test_so_many_remotes_and_so_many_at_once() -> None:
    plan = make(*(passive(number) for number in range(1, MAX_REMOTES + 1)))
    assert not plan.add_remote(LOCAL, passive(200), 0.0)
    started = [taken(plan, 1.0 + number) for number in range(MAX_REMOTES)]
    assert started == [passive(1), passive(2), passive(3), passive(4), *[None] * (MAX_REMOTES - CONNECTING)]
    assert plan.deadline() == math.inf
    plan.failed(passive(2).endpoint, "no connection within 5 s", 20.0)
    assert taken(plan, 20.0) == passive(5)


def test_services_are_not_knocked_at() -> None:
    assert [port for port in (22, 25, 80, 443, 1023, 1024, 7777) if is_allowed(passive(1, port))] == [
        *(80, 443, 1024, 7777)
    ]
    assert not make().add_remote(LOCAL, passive(1, 25), 0.0)


def test_the_report_has_what_is_not_connected() -> None:
    plan = make(passive(1), passive(2), passive(3))
    assert taken(plan, 1.0) == passive(1)
    plan.failed(passive(1).endpoint, "connection refused", 1.1)
    assert taken(plan, 1.2) == passive(2)
    found = {report.remote.address: (report.state, report.why, report.checks_sent) for report in plan.report()}
    assert found == {
        "198.51.100.1": ("failed", "connection refused", 1),
        "198.51.100.2": ("in progress", "", 1),
        "198.51.100.3": ("waiting", "", 0),
    }


@given(st.lists(st.tuples(st.sampled_from("udp tcp relay lost fail connect wait".split()), st.floats(0, 40))))
def test_whatever_happens_it_neither_spins_nor_connects_needlessly(steps: list[tuple[str, float]]) -> None:
    plan, now = make(passive(1), passive(2)), 0.0
    open_now: list[Candidate] = []
    grades = {"udp": PathClass.DIRECT_UDP, "tcp": PathClass.DIRECT_TCP, "relay": PathClass.RELAYED}
    for what, passed in steps:
        now += passed
        if what in grades:
            plan.selected(grades[what], now)
        elif what == "lost":
            plan.lost(now)
        elif what == "fail" and open_now:
            plan.failed(open_now.pop().endpoint, "no", now)
        elif what == "connect" and open_now:
            plan.connected(open_now[-1].endpoint)
        plan.has_no_need(now)
        while (attempt := plan.take(now)) is not None:
            assert not plan.is_direct
            open_now.append(attempt[1])
        assert plan.deadline() > now
