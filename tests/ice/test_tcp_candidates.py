"""atmosphere.ice.tcp_candidates: who connects to where, and how good that is."""

from __future__ import annotations

from dataclasses import replace

from atmosphere.ice.candidate import Candidate, candidate_priority, tcp_priority
from atmosphere.ice.tcp_candidates import DISCARD, passive_beyond, passive_connection, remote_active, tcp_host
from tests.ice.vnet import make_candidate

WIRED = make_candidate("host", ("192.0.2.1", 7777), preference=(9 << 12) | 1)
WIFI = make_candidate("host", ("192.0.2.2", 7777), preference=(8 << 12) | 1)


def test_the_nodes_port_is_passive_and_its_own_connections_active() -> None:
    passive, active = tcp_host(WIRED, "passive", 8000), tcp_host(WIRED, "active")
    assert (passive.transport, passive.tcp_type, passive.endpoint) == ("tcp", "passive", ("192.0.2.1", 8000))
    assert (active.tcp_type, active.port) == ("active", DISCARD)
    assert passive.is_usable
    assert not active.is_usable
    assert passive.foundation == active.foundation != WIRED.foundation


def test_they_keep_the_order_of_their_interfaces() -> None:
    assert tcp_host(WIRED, "passive", 1).priority > tcp_host(WIFI, "passive", 1).priority
    assert tcp_host(WIFI, "active").priority > tcp_host(WIRED, "passive", 1).priority


def test_beyond_a_nat_a_candidate_says_what_it_leads_to() -> None:
    host = tcp_host(WIRED, "passive", 7777)
    beyond = passive_beyond(host, ("203.0.113.1", 40000))
    assert (beyond.type, beyond.endpoint, beyond.tcp_type) == ("srflx", ("203.0.113.1", 40000), "passive")
    assert (beyond.related_address, beyond.related_port) == host.endpoint
    assert Candidate.from_sdp(beyond.to_sdp()) == beyond
    assert tcp_priority("srflx", "passive", 0) <= beyond.priority < host.priority


def test_both_ends_of_a_connection_that_came() -> None:
    ours = passive_connection(("192.0.2.2", 7777), [WIRED, WIFI])
    assert ours == tcp_host(WIFI, "passive", 7777)
    unknown = passive_connection(("192.0.2.3", 7777), [WIRED, WIFI])
    assert unknown.endpoint == ("192.0.2.3", 7777)
    assert unknown.priority < ours.priority
    theirs = remote_active(("203.0.113.1", 5), tcp_priority("prflx", "active"))
    assert (theirs.type, theirs.transport, theirs.tcp_type) == ("prflx", "tcp", "active")
    assert not theirs.is_relayed


def test_every_direct_udp_is_above_and_every_relay_below() -> None:
    udp = min(candidate_priority(kind, 0) for kind in ("host", "prflx", "srflx"))
    tcp = [passive_beyond(tcp_host(WIRED, "passive", 1), ("203.0.113.1", 1)), tcp_host(WIRED, "passive", 1)]
    relay = candidate_priority("relay")
    assert all(relay < one.priority < udp for one in tcp)
    assert not any(replace(one, type="prflx").is_relayed for one in tcp)
