"""The connection to a TURN server, over whichever transport its endpoint names."""

from __future__ import annotations

import asyncio
import ssl

from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.protocol import Receiver, StreamTurnProtocol, UdpTurnProtocol
from atmosphere.turn.websocket import open_websocket

Connection = UdpTurnProtocol | StreamTurnProtocol


async def connect(end: TurnEndpoint, owner: Receiver) -> Connection:
    """A connection to the server at `end`, what comes in goes to `owner`; raises OSError, or Unreachable saying why."""
    if end.transport in ("ws", "wss"):
        return await open_websocket(end, owner)
    loop = asyncio.get_running_loop()
    arguments = (owner, end.address, end.username, end.password, end.family)
    if end.transport == "udp":
        _, udp = await loop.create_datagram_endpoint(lambda: UdpTurnProtocol(*arguments), remote_addr=end.address)
        return udp
    context = (end.tls or ssl.create_default_context()) if end.transport == "tls" else None
    _, stream = await loop.create_connection(
        lambda: StreamTurnProtocol(*arguments),
        *end.address,
        ssl=context,
        server_hostname=(end.host or end.address[0]) if context else None,
    )
    return stream
