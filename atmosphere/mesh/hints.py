"""What the floors below know of NATs and routers, in the shape that explaining needs; "unknown" where they do not say.

Everything that is asked of them for the sake of an explanation is asked here.
"""

from __future__ import annotations

from typing import Protocol

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.mesh.situation import Mapping, Search

__all__ = ["Searches", "port_mapping", "search"]


class Searches(Protocol):
    """Who guesses ports."""

    def finding(self, node_id: str, /) -> str | None:
        """What came of it for that member, in words; None while that is to come."""


def port_mapping(endpoint: IceEndpoint, *, wanted: bool) -> tuple[Mapping, list[tuple[str, int]]]:
    """What our router said to the wish for an open port, and the addresses that it opened."""
    if not wanted:
        return "off", []
    asked = [one for one in endpoint.port_mappings() if one.transport == "udp"]
    opened = [one for one in asked if one.external is not None]
    if not opened:
        return "none" if any(one.error for one in asked) else "unknown", []
    beyond = all(mapping.verified is False for mapping in opened)
    return "beyond" if beyond else "open", [one.external for one in opened if one.external is not None]


def search(searches: Searches | None, node_id: str) -> Search | None:
    """How the guessing of ports for that peer stands; `searches` is whoever does it, None where nobody does."""
    if searches is None:
        return None
    finding = searches.finding(node_id)
    return Search(pending=finding is None, finding=finding or "")
