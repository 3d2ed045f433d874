"""atmosphere.ice.route."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atmosphere.ice.candidate import Candidate, RelayProtocol
from atmosphere.ice.pair import CandidatePair
from atmosphere.ice.route import Path, PathEnd, path_of
from atmosphere.ice.tcp_candidates import tcp_host

HOST = Candidate.from_sdp("f 1 udp 2130706431 10.0.0.1 7777 typ host")
MAPPED = Candidate.from_sdp("g 1 udp 1694498815 203.0.113.1 40000 typ srflx")
REMOTE = Candidate.from_sdp("h 1 udp 2130706431 192.0.2.1 7777 typ host")


def test_a_direct_path_names_the_true_local_candidate() -> None:
    pair = CandidatePair(base=1, base_candidate=HOST, remote=REMOTE, local=MAPPED, due_at=0.0)
    ours, theirs = PathEnd("srflx", "203.0.113.1", 40000), PathEnd("host", "192.0.2.1", 7777)
    assert path_of(pair) == Path("direct", "udp", 4, ours, theirs)


@pytest.mark.parametrize(("how", "protocol"), [("udp", "udp"), ("tcp", "tcp"), ("tls", "tcp"), ("ws", "ws")])
def test_a_relayed_path_says_how_the_relay_is_reached(how: RelayProtocol, protocol: str) -> None:
    relay = replace(Candidate.from_sdp("r 1 udp 1000 192.0.2.9 5 typ relay"), relay_protocol=how)
    path = path_of(CandidatePair(base=1, base_candidate=relay, remote=REMOTE, local=relay, due_at=0.0))
    assert (path.kind, path.protocol, path.local.type) == ("relay", protocol, "relay")


def test_the_remotes_relay_counts_too() -> None:
    theirs = Candidate.from_sdp("r 1 udp 1000 2001:db8::9 5 typ relay")
    mine = Candidate.from_sdp("f 1 udp 2130706431 2001:db8::1 7777 typ host")
    path = path_of(CandidatePair(base=1, base_candidate=mine, remote=theirs, local=mine, due_at=0.0))
    assert (path.kind, path.protocol, path.family) == ("relay", "udp", 6)


def test_a_direct_path_over_tcp() -> None:
    ours, theirs = tcp_host(HOST, "active"), tcp_host(REMOTE, "passive", 7777)
    path = path_of(CandidatePair(base=1, base_candidate=ours, remote=theirs, local=ours, due_at=0.0))
    assert (path.kind, path.protocol, path.remote.port) == ("direct", "tcp", 7777)
