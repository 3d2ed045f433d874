"""Connections from their acceptance to their end: the door, plain HTTP, and the route that each WebSocket asks for.

Whoever accepts connections makes their protocol here: an asyncio server of our own (`listen`), or the owner of a port
on which other protocols live too. Each has one task, which lasts as long as it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterable

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from signaling import http
from signaling.connection import CLOSE_TIMEOUT, Address, NodeConnection
from signaling.door import ServerDoor
from signaling.listen import BACKLOG
from signaling.metrics import Metrics
from signaling.routes import Route, Routes
from signaling.settings import Settings

logger = logging.getLogger(__name__)
_quiet = logging.getLogger("signaling.websocket")
_quiet.setLevel(logging.WARNING)

GOING_AWAY = 1001
QUEUE = 4
"""Frames that wait for their reader before the connection is read no further."""
PINGS_MISSED = 2.5
"""Keepalive intervals of silence after which a connection is taken for dead."""


class Reception:
    """Takes connections in for the routes of one server; `page(connection, path)` answers plain HTTP."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        routes: Iterable[Route],
        page: Callable[[NodeConnection, str, Route | None], Response],
    ) -> None:
        self.settings = settings
        self.door = ServerDoor(settings, metrics, 0.0)
        self.draining = False
        self._metrics = metrics
        self._routes = Routes(routes, settings.path_prefix)
        self._page = page
        self._closed = False
        self._listeners: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # Coming in

    def connection(self, *, websockets: bool = True, client: Address | None = None) -> NodeConnection:
        """The protocol for one accepted connection; without `websockets` it gets plain HTTP only.

        `client` is who is at the other end, where that is not who the connection came from.
        """
        protocol = ServerProtocol(max_size=self.settings.max_message, logger=_quiet)
        return NodeConnection(
            self.door,
            self,
            protocol,
            websockets=websockets,
            client=client,
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT,
            max_queue=QUEUE,
            write_limit=self.settings.outgoing_bytes,
        )

    async def listen(self, sock: socket.socket, ssl_context: ssl.SSLContext | None) -> None:
        """Accept what comes to a bound socket."""
        handshake, shutdown = (self.settings.handshake_timeout, CLOSE_TIMEOUT) if ssl_context else (None, None)
        server = await asyncio.get_running_loop().create_server(
            self.connection,
            sock=sock,
            ssl=ssl_context,
            backlog=BACKLOG,
            ssl_handshake_timeout=handshake,
            ssl_shutdown_timeout=shutdown,
        )
        self._listeners.append(server)

    def is_serving(self) -> bool:
        """Whether WebSockets may still open."""
        return not self._closed

    def attend(self, connection: NodeConnection) -> None:
        """See to a connection until it ends, in a task of its own."""
        task = asyncio.get_running_loop().create_task(self._attend(connection), name="signaling: connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, connection: NodeConnection) -> None:
        try:
            async with asyncio.timeout(self.settings.handshake_timeout):
                await connection.handshake(self._process_request, None, None)
        except Exception as error:  # noqa: BLE001 (the connection is the client's doing, and so is its failure)
            logger.debug("no handshake with %s: %r", connection.address, error)
            connection.transport.abort()
            return
        if not connection.is_open:
            connection.transport.abort()
            return
        await self._handle(connection)

    async def _handle(self, connection: NodeConnection) -> None:
        route = self._routes.find(connection.path)
        try:
            async with connection:
                if route is not None:
                    await route.handle(connection)
        except Exception:  # one connection must not take the server down
            logger.exception("a connection from %s failed", connection.address)

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Plain HTTP is answered here; None lets the WebSocket open."""
        assert isinstance(connection, NodeConnection)  # noqa: S101 (made by `connection`)
        now = asyncio.get_running_loop().time()
        refused = self.door.refuse(connection, request, now, draining=self.draining)
        if refused:
            self._metrics.count("connections_refused_total")
            return http.reply(connection, *refused)
        path = connection.path = self._routes.inside(http.path_of(request))
        route = self._routes.find(path)
        if route is not None and http.wants_websocket(request):
            connection.protocol.max_message_size = route.max_message
            connection.protocol.available_subprotocols = [Subprotocol(route.subprotocol)] if route.subprotocol else None
            return None
        self._metrics.count("http_requests_total")
        return self._page(connection, path, route)

    # Time

    def sweep(self, now: float) -> None:
        """Ping those that are silent, cut those that have been for too long, and whoever lags too far behind."""
        self.door.sweep(now)
        for connection in tuple(self.door.inside):
            if connection.protocol.state is State.OPEN:
                self._look_after(connection, now)

    def _look_after(self, connection: NodeConnection, now: float) -> None:
        keepalive = self.settings.keepalive
        if connection.silence(now) > PINGS_MISSED * keepalive:
            self._metrics.count("silent_cut_total")
            connection.transport.abort()
        elif now - max(connection.seen, connection.pinged) >= keepalive:
            connection.ping_now(now)

    # The end

    async def close(self) -> None:
        """Accept nothing more, close what is open (1001), and wait for the ends of all; who takes too long is cut."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self.door.inside):
            if connection.is_open:
                connection.end(GOING_AWAY, "")
            else:
                connection.transport.abort()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT)
            await self._cut(late)
        for listener in self._listeners:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):  # a TLS handshake under way may hold it
                    await listener.wait_closed()

    async def _cut(self, late: set[asyncio.Task[None]]) -> None:
        for connection in tuple(self.door.inside):
            connection.transport.abort()
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
