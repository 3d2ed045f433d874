"""A node's account of itself, from parts that are pictures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.ice.candidate import Candidate
from atmosphere.mesh.info import NodeInfo, NodeStatus, RelayInfo, ServerInfo, SideInfo
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.status import endpoint, node_status
from atmosphere.mesh.store import Home
from tests.mesh.fakes import HOST, RELAY, SRFLX, TCP, founder

HOST6 = Candidate.from_sdp("f 1 udp 99 2001:db8::1 7777 typ host")
RELAYING = RelayInfo(True, ["turn:[2001:db8::1]:7777"], 1, 5)
NETWORK = SideInfo("none", "unknown", "open", "no NAT", "any", True, "off")
MEETING = ServerInfo("ws://192.0.2.9", True, 3.0)


def health(ok: bool | None) -> Any:
    return SimpleNamespace(uri="stun:192.0.2.8", ok=ok, rtt_ms=None, error=None if ok else "no answer")


def status(roster: Roster, candidates: list[Candidate], *servers: Any, **peers: int) -> NodeStatus:
    every = [SimpleNamespace(state=state) for state, number in peers.items() for _ in range(number)]
    ice = SimpleNamespace(candidates=candidates, servers=lambda: list(servers))
    return node_status(
        roster,
        cast("Any", SimpleNamespace(endpoint=ice, port=7777)),
        cast("Any", SimpleNamespace(servers=lambda: [MEETING])),
        cast("Any", SimpleNamespace(all=lambda: every)),
        cast("Any", SimpleNamespace(info=lambda: RELAYING)),
        NETWORK,
        "0.1",
        5.0,
    )


def test_a_founder(tmp_path: Path) -> None:
    _, roster = founder(tmp_path)
    told = status(roster, [RELAY, HOST6, HOST], health(True), health(None), connected=2, offline=1)
    assert told.node == NodeInfo(roster.own_id, "alpha")
    assert told.mesh == NodeInfo(roster.mesh_id, "home")
    assert (told.role, told.version, told.port, told.uptime, told.ready) == ("founder", "0.1", 7777, 5.0, True)
    assert told.addresses == ["192.0.2.1:7777", "[2001:db8::1]:7777"]
    assert told.candidates == ["host 192.0.2.1:7777", "relay 203.0.113.1:50000", "host [2001:db8::1]:7777"]
    # A server that was not asked yet has no say.
    assert told.servers == [ServerInfo("stun:192.0.2.8", True), MEETING]
    assert told.relay == RELAYING
    assert told.network == NETWORK
    assert told.peers == {"connected": 2, "offline": 1}


def test_candidates_of_tcp_say_so(tmp_path: Path) -> None:
    _, roster = founder(tmp_path)
    told = status(roster, [HOST, TCP])
    assert told.addresses == ["192.0.2.1:7777"]
    assert told.candidates == ["host 192.0.2.1:7777", "host 192.0.2.1:7777 tcp"]


def test_a_node_of_no_mesh(tmp_path: Path) -> None:
    told = status(Roster(Home.init_identity_only(tmp_path, "laptop")), [])
    assert (told.mesh, told.role, told.ready, told.advice) == (None, None, False, None)


@pytest.mark.parametrize(
    ("candidates", "servers", "advised"),
    [
        ([HOST], [health(False)], True),
        ([HOST], [health(False), health(True)], False),
        ([HOST, SRFLX], [health(False)], False),
        ([HOST, RELAY], [health(False)], False),
        ([HOST], [], False),
    ],
)
def test_advice_where_no_server_answers(
    tmp_path: Path, candidates: list[Candidate], servers: list[Any], advised: bool
) -> None:
    told = status(founder(tmp_path)[1], candidates, *servers)
    assert ("no STUN or TURN server answers" in (told.advice or "")) is advised


def test_endpoints_as_people_write_them() -> None:
    assert (endpoint("192.0.2.1", 1), endpoint("::1", 2)) == ("192.0.2.1:1", "[::1]:2")
