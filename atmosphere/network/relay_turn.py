"""A relay server's TURN and STUN: the service, and who comes to it over UDP, TCP, TLS and WebSocket."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from functools import partial

from atmosphere.network.relay_places import Places
from atmosphere.network.stun_discovery import open_discovery
from atmosphere.stun.server import BindingServer
from atmosphere.tcp.undecided import Accepted
from atmosphere.turn.server.clients import StreamClients
from atmosphere.turn.server.flow import Address
from atmosphere.turn.server.service import TurnService
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.streams import TurnStream
from atmosphere.turn.server.users import RestUsers, Several, StaticUsers
from atmosphere.turn.server.websocket import turn_route
from atmosphere.udp.socket import UdpSocket
from signaling.routes import Route


def turn_settings(places: Places) -> TurnSettings:
    """The relay's settings with what follows from where it listens; what the user has set stays."""
    relay = places.settings.relay
    addresses = relay.addresses or places.relayed
    # Where a NAT shows us under another address, a peer at that address is ourselves.
    own = tuple(seen for local, seen in addresses.items() if seen != local)
    return dataclasses.replace(relay, addresses=addresses, own_addresses=tuple({*relay.own_addresses, *own}))


class RelayTurn:
    """Serves the `sockets`, which stay their owner's, and the connections that it makes protocols for."""

    def __init__(self, places: Places, secret: str) -> None:
        users = Several([RestUsers(secret), StaticUsers(places.settings.users)])
        self.service = TurnService(turn_settings(places), users)
        self.clients = StreamClients(self.service, places.settings.streams)

    async def start(self, sockets: Sequence[UdpSocket], stun: RelayStun) -> None:
        """Begin. Raises OSError where nothing can be relayed on an address."""
        await self.service.start()
        for sock in sockets:
            # ChannelData goes to the service straight from the socket; of STUN the answers of RFC 5780 come first.
            self.service.listen(sock, partial(stun.receive_burst, sock))
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


class RelayStun:
    """Binding requests: of clients that want to know what their NAT does (RFC 5780) and, where no TURN is, of all."""

    def __init__(self, places: Places, sockets: Sequence[UdpSocket]) -> None:
        settings, self._server = places.settings, BindingServer()
        self._pairs = open_discovery(
            self._server, sockets, places.relayed, wanted=settings.discovery, port=settings.discovery_port
        )

    def receive_burst(self, sock: UdpSocket, data: bytes, segment: int, source: Address) -> bool:
        """Answer a burst of Binding requests; False for what is somebody else's."""
        return any(pair.receive_burst(sock, data, segment, source) for pair in self._pairs)

    def serve(self, sockets: Sequence[UdpSocket]) -> None:
        """Answer on all sockets, and leave everything else unanswered."""
        for sock in sockets:
            sock.on_datagram = partial(self._received, sock)

    def _received(self, sock: UdpSocket, data: bytes, source: Address) -> None:
        if any(pair.receive(sock, data, source) for pair in self._pairs):
            return
        answer = self._server.receive(data, source, asyncio.get_running_loop().time())
        if answer is not None:
            sock.send(answer, source)

    def close(self) -> None:
        """Close the second ports."""
        for pair in self._pairs:
            pair.close()
