"""A relay server's TURN and STUN: the service, and who comes to it over UDP, TCP, TLS and WebSocket."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

from atmosphere.network.relay_places import Places
from atmosphere.network.relay_settings import is_literal
from atmosphere.network.stun_service import answer_binding
from atmosphere.stun.server import BindingServer
from atmosphere.tcp.undecided import Accepted
from atmosphere.turn.server.clients import StreamClients
from atmosphere.turn.server.service import TurnService
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.streams import TurnStream
from atmosphere.turn.server.users import RestUsers, Several, StaticUsers
from atmosphere.turn.server.websocket import turn_route
from atmosphere.udp.socket import UdpSocket
from signaling.routes import Route


def turn_settings(places: Places) -> TurnSettings:
    """The relay's settings with what follows from where it listens; what the user has set stays."""
    relay, public = places.settings.relay, places.settings.public_host
    own = (public,) if public and is_literal(public) else ()
    return dataclasses.replace(
        relay, addresses=relay.addresses or places.relayed, own_addresses=(*relay.own_addresses, *own)
    )


class RelayTurn:
    """Serves the `sockets`, which stay their owner's, and the connections that it makes protocols for."""

    def __init__(self, places: Places, secret: str) -> None:
        users = Several([RestUsers(secret), StaticUsers(places.settings.users)])
        self.service = TurnService(turn_settings(places), users)
        self.clients = StreamClients(self.service, places.settings.streams)

    async def start(self, sockets: Sequence[UdpSocket]) -> None:
        """Begin. Raises OSError where nothing can be relayed on an address."""
        await self.service.start()
        for sock in sockets:
            self.service.listen(sock)
        self.clients.start()

    async def stop(self) -> None:
        """End all allocations and connections."""
        self.clients.stop()
        await self.service.stop()

    def stream(self, accepted: Accepted) -> asyncio.Protocol:
        """The protocol for a connection over TCP or TLS."""
        return TurnStream(self.clients, "tls" if accepted.secure else "tcp", accepted.client, accepted.local)

    def route(self) -> Route:
        """Where its WebSockets are."""
        return turn_route(self.clients)

    def stats(self) -> dict[str, float]:
        """All numbers by name."""
        return {**self.service.stats(), **self.clients.stats()}


class HangUp(asyncio.Protocol):
    """For a connection that is not served."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """End it (asyncio.Protocol)."""
        transport.close()


def serve_stun_only(sockets: Sequence[UdpSocket]) -> None:
    """Answer Binding requests on the sockets, and nothing else."""
    server = BindingServer()
    for sock in sockets:
        answer_binding(sock, server)
