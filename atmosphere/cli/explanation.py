"""The words of `atmosphere explain`: how a peer is reached, what was tried, and the one change that would help."""

from __future__ import annotations

from typing import Any

import msgspec

from atmosphere.cli import render
from atmosphere.cli.output import printable
from atmosphere.mesh.info import PeerInfo


def lines(data: Any) -> list[str]:
    """`data` is {"peer": PeerInfo, "report": [one finding, …] or None}."""
    peer = msgspec.convert(data["peer"], PeerInfo)
    path = f": {render.route(peer.path, peer.rtt_ms)}" if peer.path else ""
    findings = [f"  {printable(str(finding))}" for finding in data.get("report") or []]
    return [f"{printable(peer.name)} is {peer.state}{path}", *findings, advice(peer)]


def advice(peer: PeerInfo) -> str:
    """The one change that would help, or that none is needed."""
    if peer.state != "connected" or peer.path is None:
        return f"Nothing answers. See that {printable(peer.name)} is running (`atmosphere status` over there)."
    if peer.path.kind == "direct":
        return "The path is direct; there is no better one."
    return (
        "The path is relayed: no direct check got through both routers. Open the node's port (UDP) on one of them, "
        "or turn on UPnP, NAT-PMP or PCP there; `atmosphere network` on both sides shows which NAT is the strict one."
    )
