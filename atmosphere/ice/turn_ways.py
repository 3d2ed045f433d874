"""The ways to a TURN server: over which transports, to which addresses, through which proxy."""

from __future__ import annotations

from functools import partial

from atmosphere.ice.resolve import TIMEOUT, resolve
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.uri import Transport, TurnServer
from signaling.proxy import proxy_for

__all__ = ["ways_to"]


async def ways_to(server: TurnServer, *, timeout: float = TIMEOUT) -> list[TurnEndpoint]:
    """The ways to a server, the first to try first; raises Unreachable when its name cannot be resolved.

    A WebSocket through a proxy is one way: a network that has nothing but the proxy may have no DNS, so the proxy
    resolves the name.
    """
    uri = server.uri
    end = partial(TurnEndpoint, username=server.username, password=server.password, host=uri.host)
    if uri.is_websocket and (proxy := proxy_for(uri.url)) is not None:
        return [end((uri.host, uri.port), _transports(server)[0], url=uri.url, proxy=proxy)]
    addresses = await resolve(uri.host, uri.port, timeout=timeout)
    url = uri.url if uri.is_websocket else ""
    return [end(address, transport, url=url) for transport in _transports(server) for address in addresses]


def _transports(server: TurnServer) -> tuple[Transport, ...]:
    return (server.uri.transport,) if server.uri.transport else ("udp", "tcp")
