"""Which WebSocket path is whose, and which websites may open one (pure).

A browser says in `Origin` for which website it connects. No header: not a browser. A website of the server's own name
may connect, others only when the settings name them: a page that somebody visits must not use this server from their
address. That Origin and Host agree says nothing about a name that the server does not know: its owner may have pointed
it here for a moment (DNS rebinding). An address cannot be pointed elsewhere, nor can `localhost`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True)
class Route:
    """The WebSockets at some paths: `handle(connection)` has one from its opening to its end.

    `subprotocol` must be among those that the client offers; with None whatever it offers is ignored. Messages have at
    most `max_message` bytes; a longer one closes the connection (1009). `what` says what answers there.
    """

    matches: Callable[[str], bool]
    handle: Callable[[Any], Awaitable[None]]
    what: str
    max_message: int
    subprotocol: str | None = None


class Routes:
    """All paths of a server; of two routes that match, the first counts."""

    def __init__(self, routes: Iterable[Route], prefix: str = "") -> None:
        self._routes = tuple(routes)
        self._prefix = prefix.rstrip("/")

    def inside(self, path: str) -> str:
        """The path without the prefix under which a proxy may pass requests on; as it is when the proxy removed it."""
        rest = path.removeprefix(self._prefix) if self._prefix else path
        return path if rest == path or rest[:1] not in ("", "/") else rest or "/"

    def find(self, path: str) -> Route | None:
        """The route of a path that `inside` gave."""
        return next((route for route in self._routes if route.matches(path)), None)


def origin_is_allowed(origins: Sequence[str], host: str, allowed: Iterable[str], *, host_is_ours: bool = False) -> bool:
    """Whether a request with these Origin headers and this Host may open a WebSocket.

    `allowed` holds origins (`https://example.org`), or `*` for any. `host_is_ours` is whether the server knows that it
    has the name in Host.
    """
    if not origins:
        return True
    if len(origins) > 1:
        return False
    origin = origins[0].strip().lower().rstrip("/")
    return any(one == "*" or one.lower().rstrip("/") == origin for one in allowed) or (
        _same_place(origin, host) and (host_is_ours or _stays(host))
    )


def _stays(host: str) -> bool:
    """Whether a Host is where it is by itself: an address, or this machine."""
    name = urlsplit(f"//{host.lower()}").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


def _same_place(origin: str, host: str) -> bool:
    try:
        ours, theirs = urlsplit(f"//{host.lower()}"), urlsplit(origin)
        default = _DEFAULT_PORTS.get(theirs.scheme)
        here, there = (ours.hostname, ours.port or default), (theirs.hostname, theirs.port or default)
    except ValueError:
        return False
    return default is not None and bool(ours.hostname) and here == there
