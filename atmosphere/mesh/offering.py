"""Relaying for the other members: a TURN server on the node's own sockets, for as long as strangers can reach them.

It runs wherever it may; but only while this node believes that it can be reached does it take requests, and is it told
to others. Who may use it is asked anew at each request, and whoever leaves the mesh loses what it has there at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from atmosphere.ice.base import Base
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.mesh.info import RelayInfo
from atmosphere.mesh.listeners import NodeSettings
from atmosphere.mesh.member_turn import MemberTurn
from atmosphere.mesh.reachability import Place, Reachability
from atmosphere.udp.socket import UdpSocket

__all__ = ["Offering", "refusal"]

logger = logging.getLogger(__name__)


class Offering:
    """Our relay; `turn` is None where `why_not` says why there is none. `on_change` hears when its places change."""

    def __init__(self, turn: MemberTurn | None, why_not: str | None, endpoint: IceEndpoint) -> None:
        self._turn = turn
        self._why_not = why_not
        self._endpoint = endpoint
        self._reachable = Reachability()
        self._places: list[Place] = []
        self._members: set[str] = set()
        self._sockets: set[UdpSocket] = set()
        self.on_change: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Begin; what was gathered so far counts already."""
        if self._turn is not None:
            await self._turn.start()
            self._endpoint.mux.on_reached = self._reached
            self.update()

    async def close(self) -> None:
        """End every allocation."""
        self._endpoint.mux.on_turn = None
        if self._turn is not None:
            await self._turn.stop()

    # where

    def uris(self) -> list[str]:
        """The TURN URIs of our relay, to be told to the other members; none while it is not offered."""
        return [place.uri for place in self._places]

    def update(self) -> None:
        """Addresses came or went, a stranger got in, or time passed; call it every few seconds too."""
        if self._turn is None:
            return
        service = self._turn.service
        for sock in self._sockets - set(self._endpoint.sockets):
            service.forget(sock)
        self._sockets = set(self._endpoint.sockets)
        now = time.monotonic()
        if self._places and service.stats()["turn_allocations"]:
            self._reachable.in_use(self._places, now)
        places = self._reachable.places(self._endpoint.candidates, now, self._opened())
        if places == self._places:
            return
        self._places = places
        logger.info("relaying for members: %s", ", ".join(self.uris()) or "not any more")
        service.move(
            {place.local[0]: place.public[0] for place in reversed(places)},
            {place.public: place.local for place in places},
        )
        self._endpoint.mux.on_turn = service.datagrams if places else None
        self.on_change()

    def _opened(self) -> set[tuple[str, int]]:
        """Where routers let everybody in, unless servers see us elsewhere: then another NAT is beyond."""
        ports = self._endpoint.port_mappings()
        return {
            port.external for port in ports if port.transport == "udp" and port.external and port.verified is not False
        }

    def _reached(self, base: Base, source: tuple[str, int]) -> None:
        if self._reachable.got_in(base.candidate.endpoint, source[0], time.monotonic()):
            logger.info("%s port %d can be reached from outside", *base.candidate.endpoint)
            self.update()

    # for whom

    def follow(self, members: Iterable[str]) -> None:
        """Those who are members no longer lose their allocations."""
        now = set(members)
        for node_id in self._members - now:
            self.revoke(node_id)
        self._members = now

    def revoke(self, username: str) -> None:
        """That member, or whoever holds that invite, loses what it has here."""
        if self._turn is not None:
            self._turn.service.revoke(username)

    def info(self) -> RelayInfo:
        """What `status` shows of it."""
        stats = self._turn.service.stats() if self._turn is not None else {}
        return RelayInfo(
            offered=bool(self._places),
            uris=self.uris(),
            allocations=int(stats.get("turn_allocations", 0)),
            bytes=int(stats.get("turn_bytes_relayed_total", 0)),
            reason=None if self._places else self._why_not or "this node is not known to be reachable from outside",
        )


def refusal(settings: NodeSettings) -> str | None:
    """Why this node relays for nobody, whatever can reach it."""
    if not settings.relay:
        return "--no-relay"
    if settings.path_policy == "relay":
        return "--path-policy relay keeps this node's addresses to itself"
    return None
