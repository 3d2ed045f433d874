"""The ways to a TURN server: over which transports, to which addresses, through which proxy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from atmosphere.errors import Unreachable
from atmosphere.ice.resolve import TIMEOUT, resolve
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.uri import ServerUri, Transport, TurnServer
from signaling.proxy import proxy_for

__all__ = ["ways_to"]


async def ways_to(server: TurnServer, *, timeout: float = TIMEOUT) -> list[TurnEndpoint]:
    """The ways to a server, the first to try first; raises Unreachable when its name cannot be resolved.

    A proxy that the environment names is the one way for a WebSocket, as in a browser, and the last for TLS, whose
    ports many proxies open no tunnel to. A network that has nothing but the proxy may have no DNS, so the proxy
    resolves the name.
    """
    uri = server.uri
    end = partial(TurnEndpoint, username=server.username, password=server.password, host=uri.host)
    proxied = _through_proxy(uri, end)
    if uri.is_websocket and proxied:
        return proxied
    try:
        addresses = await resolve(uri.host, uri.port, timeout=timeout)
    except Unreachable:
        if not proxied:
            raise
        return proxied
    transports: tuple[Transport, ...] = (uri.transport,) if uri.transport else ("udp", "tcp")
    url = uri.url if uri.is_websocket else ""
    return [*(end(address, transport, url=url) for transport in transports for address in addresses), *proxied]


def _through_proxy(uri: ServerUri, end: Callable[..., TurnEndpoint]) -> list[TurnEndpoint]:
    if uri.transport not in ("tls", "ws", "wss"):
        return []
    url = uri.url if uri.is_websocket else ""
    proxy = proxy_for(url or f"wss://{uri.authority}")
    return [end((uri.host, uri.port), uri.transport, url=url, proxy=proxy)] if proxy else []
