"""The words of `atmosphere explain`: how a peer is reached, what was tried, and the one change that would help."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from atmosphere.cli import render, units
from atmosphere.cli.output import printable
from atmosphere.mesh.info import Explanation, PairInfo, PathEndInfo, PeerInfo

_ENDS = {"host": "own", "srflx": "public", "prflx": "public, found by its checks", "relay": "relay"}
"""Candidate types in plain words."""

_LAYERS = {
    "signaling": "no message was answered",
    "ice": "messages were answered, but no path was found",
    "dtls": "a path was found, but the encrypted handshake did not finish",
    "greeting": "the encrypted link came up, but the greeting did not finish",
    "refused": "it was refused",
}


def lines(data: Any, now_unix: float | None = None) -> list[str]:
    """`data` is an Explanation's keys and `peer`, a PeerInfo."""
    peer, found = msgspec.convert(data["peer"], PeerInfo), msgspec.convert(data, Explanation)
    now = time.time() if now_unix is None else now_unix
    told = [
        _headline(peer, now),
        f"  this side: {found.here.words}",
        f"  {peer.name}: {found.there.words}",
        *_pairs(found.pairs),
        *(f"  {relay}" for relay in found.relays),
        *_attempt(found, peer.state),
        *([f"  port guessing: {found.guessing}"] if found.guessing else []),
        found.why,
        *([f"Try: {found.advice}"] if found.advice else []),
    ]
    return [printable(line) for line in told]


def _headline(peer: PeerInfo, now: float) -> str:
    """`bob is connected: relayed via 198.51.100.7 (41 ms), for 2 min (direct path lost)`."""
    path = f": {render.route(peer.path, peer.rtt_ms)}" if peer.path else ""
    since = f", for {units.duration(now - peer.path_since)}" if peer.path and peer.path_since else ""
    reason = peer.last_change.reason if peer.last_change else "connected"
    change = "" if reason == "connected" else f" ({reason})"
    return f"{peer.name} is {peer.state}{path}{since}{change}"


def _pairs(pairs: list[PairInfo]) -> list[str]:
    """Each group of pairs: how it ended, how many, the best of them."""
    told = []
    for pair in pairs:
        count = "" if pair.count == 1 else f", and {pair.count - 1} more like it"
        took = "" if pair.rtt_ms is None else f", {units.milliseconds(pair.rtt_ms)}"
        over = "" if pair.protocol == "udp" else f" over {pair.protocol.upper()}"
        told.append(f"  {pair.outcome}: {_end(pair.local)} → {_end(pair.remote)}{over}{took}{count}")
    return told


def _end(end: PathEndInfo) -> str:
    return f"{units.endpoint(end.address, end.port)} ({_ENDS.get(end.type, end.type)})"


def _attempt(found: Explanation, state: str) -> list[str]:
    """How far the last attempt came, and when the next one is."""
    told = []
    if (attempt := found.attempt) is not None:
        how = _LAYERS.get(attempt.layer, attempt.layer)
        took = units.duration(attempt.seconds)
        error = f": {attempt.error}" if attempt.error else ""
        told.append(f"  last attempt: {how}, after {took}{error}" if error else f"  trying for {took}: so far {how}")
        if error and state == "connecting":
            told.append("  next attempt: under way")
    if found.next_try_in is not None:
        told.append(f"  next attempt: in {units.duration(found.next_try_in)}, or when there is news")
    return told
