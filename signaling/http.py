"""The plain HTTP side of the port: /health, /stats and /metrics, and who may upgrade to a WebSocket.

GET /health      200 `ok`, or `ok, alone` when the cluster is out of reach; 503 `draining`
GET /stats       200, JSON: one object of numbers by name (metrics.py)
GET /metrics     200, Prometheus text
GET / and GET /signal with `Upgrade: websocket`: the protocol of messages.py
anything else    404, or another route of the server; a route without an upgrade: 426
refused          403 for a foreign Origin, or where TLS is wanted; 421 for a Host that is not ours;
                 429 for too much from one address; 503 for too much in all, or draining
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec
from websockets.http11 import Request, Response

from signaling import metrics
from signaling.connection import NodeConnection

WEBSOCKET_PATHS: Final = ("/", "/signal")
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


def path_of(request: Request) -> str:
    """The request's path without its query."""
    return request.path.partition("?")[0]


def wants_websocket(request: Request) -> bool:
    """Whether the request asks to upgrade; how well it does so is checked later."""
    return "websocket" in ",".join(request.headers.get_all("Upgrade")).lower()


def host_is_known(request: Request, hosts: tuple[str, ...]) -> bool:
    """Whether the Host header names one of `hosts`, with or without its port; any does when there are none."""
    host = ",".join(request.headers.get_all("Host")).lower()  # a request with several is nobody's (RFC 9112 §3.2)
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return not hosts or bool({host, name} & {known.lower() for known in hosts})


def reply(connection: NodeConnection, status: HTTPStatus, text: str, content_type: str = _TEXT) -> Response:
    """A whole response with a body."""
    response = connection.respond(status, text)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = content_type
    response.headers["Cache-Control"] = "no-store"
    return response


def answer(
    connection: NodeConnection,
    path: str,
    stats: dict[str, float],
    prometheus: str,
    what: str | None,
    *,
    draining: bool,
    alone: bool = False,
) -> Response:
    """What a plain GET gets; `what` says which WebSocket lives at this path, if one does."""
    if path == "/health":
        status = HTTPStatus.SERVICE_UNAVAILABLE if draining else HTTPStatus.OK
        return reply(connection, status, "draining\n" if draining else "ok, alone\n" if alone else "ok\n")
    if path == "/stats":
        return reply(connection, HTTPStatus.OK, msgspec.json.encode(stats).decode() + "\n", _JSON)
    if path == "/metrics":
        return reply(connection, HTTPStatus.OK, prometheus, metrics.CONTENT_TYPE)
    if what is not None:
        return reply(connection, HTTPStatus.UPGRADE_REQUIRED, f"This is {what}: connect by WebSocket.\n")
    return reply(connection, HTTPStatus.NOT_FOUND, "There is nothing here.\n")
