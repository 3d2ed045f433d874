"""What the floors below know of NATs and routers, in the shape that explaining needs; "unknown" where they do not say.

Everything that is asked of them for the sake of an explanation is asked here.
"""

from __future__ import annotations

from typing import Any, cast

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.situation import Mapping, Search

__all__ = ["own_behaviour", "port_mapping", "remote_behaviour", "search"]


def own_behaviour(endpoint: IceEndpoint) -> NatBehaviour:
    """What was gathered about our own NAT."""
    return cast("NatBehaviour", getattr(endpoint, "behaviour", None) or NatBehaviour())


def remote_behaviour(link: PeerLink | None) -> NatBehaviour:
    """What the peer told of its NAT."""
    return cast("NatBehaviour", getattr(link, "remote_nat", None) or NatBehaviour())


def port_mapping(endpoint: IceEndpoint, *, wanted: bool) -> tuple[Mapping, list[tuple[str, int]]]:
    """What our router said to the wish for an open port, and the addresses that it opened."""
    if not wanted:
        return "off", []
    ask: Any = getattr(endpoint, "port_mappings", None)
    if ask is None:
        return "unknown", []
    opened = [mapping for mapping in ask() if mapping.external is not None and mapping.transport == "udp"]
    if not opened:
        return "none", []
    beyond = all(mapping.verified is False for mapping in opened)
    return "beyond" if beyond else "open", [mapping.external for mapping in opened]


def search(searches: Any, node_id: str) -> Search | None:
    """How the guessing of ports for that peer stands; `searches` is whoever does it, None where nobody does."""
    if searches is None:
        return None
    finding: str | None = searches.finding(node_id)
    return Search(pending=finding is None, finding=finding or "")
