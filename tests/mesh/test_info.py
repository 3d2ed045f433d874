"""What is said of nodes and peers keeps the shape that scripts read (docs/CLI.md)."""

from __future__ import annotations

import msgspec

from atmosphere.mesh.info import (
    InviteInfo,
    NodeInfo,
    NodeStatus,
    PathEndInfo,
    PathInfo,
    PeerInfo,
    RelayInfo,
    ServerInfo,
)


def test_a_peer_that_is_away_has_no_figures() -> None:
    assert msgspec.to_builtins(PeerInfo("id", "laptop", "offline", "member")) == {
        **{"id": "id", "name": "laptop", "state": "offline", "role": "member"},
        **dict.fromkeys(("path", "rtt_ms", "jitter_ms", "loss", "bytes_sent", "bytes_received"), None),
        **dict.fromkeys(("connected_at", "version", "path_since", "last_change"), None),
    }


def test_a_path_names_both_ends() -> None:
    end = PathEndInfo("host", "192.0.2.1", 7777)
    assert msgspec.to_builtins(PathInfo("direct", "udp", 4, end, end)) == {
        "kind": "direct",
        "protocol": "udp",
        "family": 4,
        "local": {"type": "host", "address": "192.0.2.1", "port": 7777},
        "remote": {"type": "host", "address": "192.0.2.1", "port": 7777},
    }


def test_a_status_survives_json() -> None:
    status = NodeStatus(
        node=NodeInfo("id", "desk"),
        mesh=None,
        role=None,
        version="0.1",
        port=7777,
        addresses=["192.0.2.1:7777"],
        candidates=["host 192.0.2.1:7777"],
        servers=[ServerInfo("stun:stun.example.org", True, 12.5)],
        peers={"connected": 1},
        uptime=1.5,
        ready=False,
        relay=RelayInfo(False, [], 0, 0, "--no-relay"),
    )
    assert msgspec.json.decode(msgspec.json.encode(status), type=NodeStatus) == status


def test_an_invite_is_shown_without_its_secret() -> None:
    assert set(InviteInfo.__struct_fields__) == {"id", "uses", "used", "expires_at", "created_at"}
