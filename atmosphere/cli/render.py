"""How paths, peers and states are written for people."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from atmosphere.cli import units

if TYPE_CHECKING:
    from atmosphere.mesh.info import PathInfo, PeerInfo

PEER_COLUMNS = ("Name", "Id", "State", "Path", "Rtt", "Loss", "Sent", "Received", "Connected")


def route(path: PathInfo | None, rtt_ms: float | None = None) -> str:
    """`direct 203.0.113.9:7777 (12 ms)`, `relayed via 198.51.100.7 (41 ms)`, `no path`."""
    if path is None:
        return "no path"
    time_taken = "" if rtt_ms is None else f" ({units.milliseconds(rtt_ms)})"
    over = "" if path.protocol == "udp" else f" over {path.protocol.upper()}"
    if path.kind == "direct":
        return f"direct {units.endpoint(path.remote.address, path.remote.port)}{over}{time_taken}"
    relay = path.local if path.local.type == "relay" else path.remote
    return f"relayed via {relay.address}{over}{time_taken}"


def carrier(path: PathInfo) -> str:
    """`UDP, IPv4`: what the path runs over."""
    return f"{'WebSocket' if path.protocol == 'ws' else path.protocol.upper()}, IPv{path.family}"


def peer_rows(peers: Iterable[PeerInfo], now_unix: float | None = None) -> list[list[str]]:
    """The rows of the `peers` table."""
    now = time.time() if now_unix is None else now_unix
    listed = list(peers)
    short = short_ids([peer.id for peer in listed])
    return [
        [
            peer.name + (f" ({peer.role})" if peer.role in ("admin", "founder") else ""),
            short[peer.id],
            peer.state,
            route(peer.path) if peer.path else "-",
            "-" if peer.rtt_ms is None else units.milliseconds(peer.rtt_ms),
            "-" if peer.loss is None else units.percent(peer.loss),
            "-" if peer.bytes_sent is None else units.size(peer.bytes_sent),
            "-" if peer.bytes_received is None else units.size(peer.bytes_received),
            "-" if peer.connected_at is None else units.duration(now - peer.connected_at),
        ]
        for peer in listed
    ]


def short_ids(ids: list[str], least: int = 8) -> dict[str, str]:
    """Each id's shortest prefix, of at least `least` characters, that no other id shares."""
    length = least
    while length < 52 and len({node_id[:length] for node_id in ids}) < len(set(ids)):
        length += 1
    return {node_id: node_id[:length] for node_id in ids}
