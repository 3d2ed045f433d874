"""What neighbours tell each other about themselves so that each can explain the link: `wire.About`.

It is a courtesy and changes nothing: whoever says nothing, or lies, is explained a little worse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from atmosphere.mesh import wire
from atmosphere.mesh.peerlink import PeerLink

__all__ = ["Abouts"]


class Abouts:
    """Tells every neighbour, and again when it changed; remembers what they told."""

    def __init__(self, own: Callable[[], wire.About], neighbours: Callable[[], list[PeerLink]]) -> None:
        self._own = own
        self._neighbours = neighbours
        self._told: wire.About | None = None
        self._heard: dict[str, wire.About] = {}

    def welcome(self, link: PeerLink) -> None:
        """Tell a new neighbour."""
        link.post(self._own())

    def update(self) -> None:
        """Tell everybody, if there is something else to tell than the last time."""
        own = self._own()
        if own != self._told:
            self._told = own
            for link in self._neighbours():
                link.offer(own)

    def heard(self, link: PeerLink, about: wire.About) -> None:
        """The other end of `link` told us."""
        self._heard[link.peer_id] = about

    def of(self, node_id: str) -> wire.About:
        """What that member told, also of an earlier link; nothing where it is silent."""
        return self._heard.get(node_id, wire.NOTHING)

    def keep_only(self, node_ids: Collection[str]) -> None:
        """Forget everybody else."""
        self._heard = {node_id: about for node_id, about in self._heard.items() if node_id in node_ids}
