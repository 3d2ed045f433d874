"""The TURN server of a node: its service, and the clients that come over TCP and WebSocket (offering.py says where)."""

from __future__ import annotations

import asyncio

from atmosphere.mesh.listeners import NodeSettings
from atmosphere.mesh.relay_users import RelayUsers
from atmosphere.tcp.undecided import Accepted
from atmosphere.turn.server.clients import StreamClients, StreamLimits
from atmosphere.turn.server.service import TurnService
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.streams import TurnStream
from atmosphere.turn.server.websocket import turn_route
from signaling.routes import Route

__all__ = ["MemberTurn", "turn_settings"]

NAME = "atmosphere"


def turn_settings(settings: NodeSettings) -> TurnSettings:
    """What a node's TURN server may do; its addresses come later, when they are known."""
    quota = settings.relay_quota
    return TurnSettings(
        realm=NAME,
        software=NAME,
        allocations=quota.allocations,
        allocations_per_user=quota.allocations_of_one,
        # Members may share one router, and each has a quota of its own.
        allocations_per_address=quota.allocations,
        bytes_per_second=quota.bytes_per_second,
    )


class MemberTurn:
    """Until it is given addresses, nobody gets a relayed one: `start` and `stop` once each."""

    def __init__(self, settings: NodeSettings, users: RelayUsers) -> None:
        limits = StreamLimits(connections=settings.relay_quota.allocations)
        self.service = TurnService(turn_settings(settings), users)
        self.clients = StreamClients(self.service, limits)

    async def start(self) -> None:
        """Begin."""
        await self.service.start()
        self.clients.start()

    async def stop(self) -> None:
        """End all allocations and connections."""
        self.clients.stop()
        await self.service.stop()

    def stream(self, accepted: Accepted) -> asyncio.Protocol:
        """The protocol for a connection of a client over TCP."""
        return TurnStream(self.clients, "tls" if accepted.secure else "tcp", accepted.client, accepted.local)

    def route(self) -> Route:
        """Where clients over WebSocket come."""
        return turn_route(self.clients)
