"""The connection to a TURN server, over whichever transport its endpoint names."""

from __future__ import annotations

import asyncio
import ssl

from atmosphere.tcp.tunnel import open_tunnel
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.protocol import Receiver, StreamTurnProtocol, UdpTurnProtocol
from atmosphere.turn.udp import can_connect, open_udp
from atmosphere.turn.websocket import open_websocket

Connection = UdpTurnProtocol | StreamTurnProtocol


async def connect(end: TurnEndpoint, owner: Receiver) -> Connection:
    """A connection to the server at `end`, what comes in goes to `owner`; raises OSError, or Unreachable saying why."""
    if end.transport in ("ws", "wss"):
        return await open_websocket(end, owner)
    loop = asyncio.get_running_loop()
    arguments = (owner, end.address, end.username, end.password, end.family)
    if end.transport == "udp":
        if can_connect():
            protocol = UdpTurnProtocol(*arguments)
            open_udp(end.address, protocol)
            return protocol
        _, udp = await loop.create_datagram_endpoint(lambda: UdpTurnProtocol(*arguments), remote_addr=end.address)
        return udp
    context = (end.tls or ssl.create_default_context()) if end.transport == "tls" else None
    if context is not None and end.proxy is not None:
        return await _through_proxy(end, context, end.proxy, StreamTurnProtocol(*arguments))
    _, stream = await loop.create_connection(
        lambda: StreamTurnProtocol(*arguments),
        *end.address,
        ssl=context,
        server_hostname=(end.host or end.address[0]) if context else None,
    )
    return stream


async def _through_proxy(
    end: TurnEndpoint, context: ssl.SSLContext, proxy: str, protocol: StreamTurnProtocol
) -> StreamTurnProtocol:
    tunnel = await open_tunnel(proxy, *end.address)
    # The protocol takes over after the handshake: one that fails is not its connection that is lost.
    secured = await asyncio.get_running_loop().start_tls(
        tunnel, asyncio.Protocol(), context, server_hostname=end.host or end.address[0]
    )
    assert secured is not None  # noqa: S101 - only uvloop's stub says so
    secured.set_protocol(protocol)
    protocol.connection_made(secured)
    return protocol
