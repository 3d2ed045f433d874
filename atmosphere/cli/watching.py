"""`peers --watch`: a live table on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from atmosphere.cli import render, units

if TYPE_CHECKING:
    from atmosphere.cli.output import Output
    from atmosphere.mesh.info import PeerInfo

COLUMNS = ("Name", "State", "Path", "Over", "Rtt", "Since", "Last change")


def essence(peer: PeerInfo) -> tuple[Any, ...]:
    """What of a peer makes it worth a new line; figures change all the time."""
    return peer.id, peer.name, peer.role, peer.state, peer.path, peer.last_change


def rows(peers: Iterable[PeerInfo], now_unix: float) -> list[list[str]]:
    """The rows of the live table."""
    return [
        [
            peer.name,
            peer.state,
            render.route(peer.path) if peer.path else "-",
            render.carrier(peer.path) if peer.path else "-",
            "-" if peer.rtt_ms is None else units.milliseconds(peer.rtt_ms),
            "-" if peer.path_since is None else units.duration(now_unix - peer.path_since),
            _last_change(peer, now_unix),
        ]
        for peer in peers
    ]


def _last_change(peer: PeerInfo, now_unix: float) -> str:
    if peer.last_change is None:
        return "-"
    return f"{peer.last_change.reason}, {units.duration(now_unix - peer.last_change.at)} ago"


class Changes:
    """Which peers are others now than the last time; the first time, all of them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, ...]] = {}

    def lines(self, peers: Iterable[PeerInfo]) -> Iterator[str]:
        """A line for each peer that changed: `14:02:13  bob  connected  direct 203.0.113.9:7777 (12 ms)  direct works`,
        and for each that is gone."""
        listed = {peer.id: peer for peer in peers}
        gone = {node_id: known for node_id, known in self._known.items() if node_id not in listed}
        changed = [peer for peer in listed.values() if self._known.get(peer.id) != essence(peer)]
        self._known = {node_id: essence(peer) for node_id, peer in listed.items()}
        for peer in changed:
            yield _line(peer)
        for known in gone.values():
            yield f"{_clock(time.time())}  {known[1]}  removed"


def _line(peer: PeerInfo) -> str:
    at = peer.last_change.at if peer.last_change else time.time()
    path = [render.route(peer.path, peer.rtt_ms)] if peer.path else []
    why = [peer.last_change.reason] if peer.last_change else []
    return "  ".join([_clock(at), peer.name, peer.state, *path, *why])


def _clock(unix: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(unix))


def show(out: Output, snapshots: Iterator[list[PeerInfo]]) -> None:
    """Show each list of peers until there are no more: redrawn on a terminal, a line a change elsewhere."""
    from atmosphere.cli.output import printable, rich_table

    if not out.fancy:
        changes = Changes()
        for peers in snapshots:
            out.document(peers)
            for line in changes.lines(peers):
                out.data(printable(line))
        return
    from rich.live import Live

    with Live(console=out.console(), auto_refresh=False) as live:
        for peers in snapshots:
            live.update(rich_table(COLUMNS, rows(peers, time.time())), refresh=True)
