"""Relaying for the other members: a TURN server on the node's own sockets, for as long as strangers can reach them.

It runs wherever it may; but only while this node believes that it can be reached does it take requests, and is it told
to others. Who may use it is asked anew at each request, and whoever leaves the mesh loses what it has there at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from atmosphere.ice.base import Base
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.mesh.info import RelayInfo
from atmosphere.mesh.listeners import NodeSettings
from atmosphere.mesh.reachability import Place, Reachability
from atmosphere.mesh.relay_users import RelayUsers
from atmosphere.turn.server.service import TurnService
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.udp.socket import UdpSocket

__all__ = ["Offering", "turn_settings"]

logger = logging.getLogger(__name__)

REALM = "atmosphere"


def turn_settings(settings: NodeSettings) -> TurnSettings:
    """What the node's TURN server may do; its addresses come later, when they are known."""
    quota = settings.relay_quota
    return TurnSettings(
        realm=REALM,
        software=REALM,
        allocations=quota.allocations,
        allocations_per_user=quota.allocations_of_one,
        # Members may share one router, and each has a quota of its own.
        allocations_per_address=quota.allocations,
        bytes_per_second=quota.bytes_per_second,
    )


class Offering:
    """Our relay; `on_change` hears when it is to be had at other places than before."""

    def __init__(self, settings: NodeSettings, users: RelayUsers, endpoint: IceEndpoint) -> None:
        self._endpoint = endpoint
        self._reachable = Reachability()
        self._places: list[Place] = []
        self._members: set[str] = set()
        self._sockets: set[UdpSocket] = set()
        self._refusal = _refusal(settings)
        self._service = None if self._refusal else TurnService(turn_settings(settings), users)
        self.on_change: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Begin; what was gathered so far counts already."""
        if self._service is not None:
            await self._service.start()
            self._endpoint.mux.on_reached = self._reached
            self.update()

    async def close(self) -> None:
        """End every allocation."""
        self._endpoint.mux.on_turn = None
        if self._service is not None:
            await self._service.stop()

    # where

    @property
    def service(self) -> TurnService | None:
        """The TURN server, also for those who come over TCP; None while nobody may use it."""
        return self._service if self._places else None

    def uris(self) -> list[str]:
        """The TURN URIs of our relay, to be told to the other members; none while it is not offered."""
        return [place.uri for place in self._places]

    def update(self) -> None:
        """Addresses came or went, or a stranger got in."""
        service = self._service
        if service is None:
            return
        for sock in self._sockets - set(self._endpoint.sockets):
            service.forget(sock)
        self._sockets = set(self._endpoint.sockets)
        places = self._reachable.places(self._endpoint.candidates)
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

    def _reached(self, base: Base, source: tuple[str, int]) -> None:
        if self._reachable.got_in(base.candidate.endpoint, source[0]):
            logger.info("%s port %d can be reached from outside", *base.candidate.endpoint)
            self.update()

    # for whom

    def follow(self, members: Iterable[str]) -> None:
        """Those who are members no longer lose their allocations."""
        now = set(members)
        if self._service is not None:
            for node_id in self._members - now:
                self._service.revoke(node_id)
        self._members = now

    def info(self) -> RelayInfo:
        """What `status` shows of it."""
        stats = self._service.stats() if self._service is not None else {}
        return RelayInfo(
            offered=bool(self._places),
            uris=self.uris(),
            allocations=int(stats.get("turn_allocations", 0)),
            bytes=int(stats.get("turn_bytes_relayed_total", 0)),
            reason=None if self._places else self._refusal or "this node is not known to be reachable from outside",
        )


def _refusal(settings: NodeSettings) -> str | None:
    """Why this node relays for nobody, whatever can reach it."""
    if not settings.relay:
        return "--no-relay"
    if settings.path_policy == "relay":
        return "--path-policy relay keeps this node's addresses to itself"
    return None
