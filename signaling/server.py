"""The signaling server: connections around the hub.

A connection goes through the reception (reception.py: limits, HTTP), the challenge (auth.py), then message after
message into the hub (hub.py), which says who is to be sent what. Messages wait in their connection while it is over its
rate, so its sender is slowed down by TCP; over the rate of an address or of the server they are refused with the error
`busy`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Sequence

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

from signaling import http
from signaling.cluster.instance import Cluster, ClusterSettings
from signaling.cluster.nats_link import require_nats
from signaling.connection import CLOSE_TIMEOUT, POLICY_VIOLATION, REPLACED, Address, NodeConnection
from signaling.errors import DecodeError
from signaling.handshake import authenticate, decode_frame
from signaling.hub import Delivery, Hub
from signaling.limits import TokenBucket
from signaling.listen import listening_sockets
from signaling.messages import (
    MAX_PAYLOAD,
    ClientMessage,
    Drain,
    Error,
    Got,
    Limits,
    Turn,
    Welcome,
    encode,
)
from signaling.metrics import Metrics, Source
from signaling.reception import Reception
from signaling.routes import Route
from signaling.settings import Settings
from signaling.turn_credentials import TurnCredentialSource, TurnServer

logger = logging.getLogger(__name__)

MESSAGE_TOO_BIG = 1009
FAN_OUT_SHARE = 8
"""Messages sent for one received count as this fraction of a message received."""


class SignalingServer:
    """A server for one port; `start` it, `stop` it, once each.

    With `is_member` (asked for an id, each time anew) it serves a mesh instead of everybody: strangers can only send to
    members, and get no TURN credentials. With `cluster` it is one instance of several, and raises ClusterError when it
    starts where that can never be. `routes` are the WebSockets of others on the same port, `sources` what else /stats
    and /metrics tell. Where somebody else accepts the connections, `open` takes the place of `start`, and `connection`
    makes the protocol for each of them.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        turn: TurnCredentialSource | None = None,
        is_member: Callable[[str], bool] | None = None,
        cluster: ClusterSettings | None = None,
        routes: Iterable[Route] = (),
        sources: Iterable[Source] = (),
    ) -> None:
        self.settings = settings or Settings()
        self._turn = turn
        self._sources = tuple(sources)
        self._metrics = Metrics()
        self._nodes: dict[str, NodeConnection] = {}
        self._empty = asyncio.Event()
        own = Route(http.WEBSOCKET_PATHS.__contains__, self._handle, "a signaling server", self.settings.max_message)
        self._reception = Reception(self.settings, self._metrics, (own, *routes), self._page)
        self._cluster = self._join(cluster, is_member) if cluster else None
        self._hub = self._cluster.hub if self._cluster else Hub(self.settings, self._metrics, is_member)
        self._sweeper: asyncio.Task[None] | None = None
        self._drain: Drain | None = None
        self._started_at = 0.0
        self.port = 0
        self.addresses: list[tuple[str, int]] = []

    def _join(self, cluster: ClusterSettings, is_member: Callable[[str], bool] | None) -> Cluster:
        door = self._reception.door
        door.share()
        return Cluster(
            cluster,
            self.settings,
            self._metrics,
            is_member,
            deliver=self._deliver,
            used=door.used_elsewhere,
            take_used=door.take_used,
        )

    # Life

    async def start(
        self, host: str | Sequence[str] | None = None, port: int = 0, *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Listen on a TCP port; `host` None means every IPv4 and IPv6 address. Raises OSError."""
        if self._cluster:
            require_nats()
        sockets = await listening_sockets(host, port)
        self.addresses = [sock.getsockname()[:2] for sock in sockets]
        self.port = self.addresses[0][1]
        for sock in sockets:
            await self._reception.listen(sock, ssl_context)
        self.open()
        logger.info("listening on %s", ", ".join(f"{address} port {port}" for address, port in self.addresses))

    def open(self) -> None:
        """Serve connections that somebody else accepts."""
        self._started_at = self._now()
        if self._cluster:
            self._cluster.start()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep_for_ever(), name="signaling: sweep")

    def connection(self, *, websockets: bool = True, client: Address | None = None) -> NodeConnection:
        """The protocol for an accepted connection of `client`; without `websockets` plain HTTP is all that it gets."""
        return self._reception.connection(websockets=websockets, client=client)

    async def drain(self, seconds: float) -> None:
        """Ask all clients to go elsewhere, let nobody in, and wait up to `seconds` until they went."""
        self._reception.draining = True
        self._drain = Drain(min(self.settings.drain_within, max(seconds, 0.0)))
        if seconds > 0 and self._nodes:
            logger.info("draining %d nodes", len(self._nodes))
            self._tell_all(self._drain)
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()

    async def stop(self, drain: float = 0.0) -> None:
        """Drain for so many seconds at most, then close everything (1001)."""
        await self.drain(drain)
        await self._reception.close()
        if self._cluster:
            await self._cluster.stop(max(drain, CLOSE_TIMEOUT))
        if self._sweeper:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
        logger.info("stopped")

    @property
    def _keepalive(self) -> float:
        """How often clients are told to see whether we live: more often where they have somewhere else to go."""
        keepalive = self.settings.keepalive
        return min(keepalive, self._cluster.settings.keepalive) if self._cluster else keepalive

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # What it knows of itself

    def stats(self) -> dict[str, float]:
        """Every gauge and counter by its name in metrics.py, and those of the other sources."""
        numbers = self._metrics.as_dict(self._gauges())
        for source in self._sources:
            numbers.update(source.as_dict())
        return numbers

    def _gauges(self) -> dict[str, float]:
        mailboxes, door = self._hub.mailboxes, self._reception.door
        return {
            "up_seconds": round(self._now() - self._started_at, 3),
            "draining": int(self._reception.draining),
            "connections": len(door.inside),
            "nodes": len(self._nodes),
            "mailboxes": len(mailboxes),
            "mailbox_messages": mailboxes.messages,
            "mailbox_bytes": mailboxes.bytes,
            "topics": len(self._hub.topics),
            "watching_nodes": len(self._hub.watchers),
            "readers_behind": len(door.lagging),
            "tracked_addresses": door.tracked_addresses,
            **(self._cluster.gauges() if self._cluster else {}),
            **self.settings.limits(),
        }

    def _page(self, connection: NodeConnection, path: str, route: Route | None) -> Response:
        prometheus = "".join(
            [self._metrics.as_prometheus(self._gauges()), *(source.as_prometheus() for source in self._sources)]
        )
        what = route.what if route else None
        alone = self._cluster is not None and not self._cluster.joined
        draining = self._reception.draining
        return http.answer(connection, path, self.stats(), prometheus, what, draining=draining, alone=alone)

    # Coming in

    async def _handle(self, connection: NodeConnection) -> None:
        """One WebSocket from its opening to its end."""
        try:
            node = await authenticate(connection, self.settings.handshake_timeout)
            await asyncio.sleep(0)  # so that what came together with the hello is read: perhaps its end
            if node is None or not connection.is_open:  # whoever has gone must not replace who is here
                self._metrics.count("handshakes_failed_total")
                return
            self._metrics.count("handshakes_total")
            self._welcome(node, connection)
            try:
                await self._read(node, connection)
            finally:
                self._gone(node, connection)
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == MESSAGE_TOO_BIG:
                self._metrics.count("limited_max_message_total")

    def _welcome(self, node: str, connection: NodeConnection) -> None:
        settings, now = self.settings, self._now()
        former = self._nodes.get(node)
        self._nodes[node] = connection
        connection.bucket = TokenBucket(settings.messages_per_connection, settings.messages_per_connection_burst, now)
        connection.turn_at = now
        limits = Limits(
            settings.max_message,
            MAX_PAYLOAD,
            settings.topics_per_connection,
            settings.watched_per_connection,
            settings.max_ttl,
        )
        connection.tell(Welcome(node, limits, self._keepalive, self._mint(node)))
        if former is not None:
            self._metrics.count("replaced_total")
            former.tell(Error("replaced", "this id connected again"))
            former.end(REPLACED, "replaced")
        logger.info("%s connected from %s", node, connection.address)
        self._deliver(self._hub.connect(node, now, got=connection.says_got))
        if self._drain is not None:
            connection.tell(self._drain)  # its socket was let in before; the others were told then

    def _mint(self, node: str) -> list[TurnServer]:
        return [self._turn.mint(node, time.time())] if self._turn and self._hub.serves(node) else []

    def _gone(self, node: str, connection: NodeConnection) -> None:
        if self._nodes.get(node) is not connection:
            return  # a newer connection has taken its place
        del self._nodes[node]
        logger.info("%s disconnected", node)
        self._deliver(self._hub.disconnect(node))
        if not self._nodes:
            self._empty.set()

    # Messages

    async def _read(self, node: str, connection: NodeConnection) -> None:
        while self._nodes.get(node) is connection and connection.is_open:
            frame = await connection.recv()
            self._metrics.count("frames_received_total")
            message = self._decode(connection, frame)
            if isinstance(message, Got) and self._hub.is_free(node, message):
                self._deliver(self._hub.receive(node, message, self._now()))
                continue
            delay = connection.bucket.charge(self._now())
            if delay:
                self._metrics.count("messages_delayed_total")
                self._metrics.count("limited_messages_per_connection_total")
                await connection.lasts(delay)
            if message is not None and self._nodes.get(node) is connection:
                self._receive(node, connection, message)

    def _decode(self, connection: NodeConnection, frame: str | bytes) -> ClientMessage | None:
        """The message in a frame, or None: then the client has been told, and is told to go when it happens often."""
        try:
            return decode_frame(frame)
        except DecodeError as error:
            self._metrics.count("frames_malformed_total")
            connection.tell(Error("malformed", str(error)[:200]))
            connection.malformed += 1
            if connection.malformed >= self.settings.malformed_per_connection:
                self._metrics.count("limited_malformed_per_connection_total")
                connection.end(POLICY_VIOLATION, "malformed")
            return None

    def _receive(self, node: str, connection: NodeConnection, message: ClientMessage) -> None:
        now = self._now()
        if not self._reception.door.may_message(connection.address, now):
            self._metrics.count("messages_busy_total")
            connection.tell(Error("busy", "too many messages, try again later", getattr(message, "ref", None)))
            return
        deliveries = self._hub.receive(node, message, now)
        connection.bucket.charge(now, sum(len(delivery.to) for delivery in deliveries) // FAN_OUT_SHARE)
        self._deliver(deliveries)

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            frame = encode(delivery.message)
            for node in delivery.to:
                connection = self._nodes.get(node)
                if connection is not None:
                    connection.write(frame)
                    if delivery.close is not None:
                        self._replaced(node, connection, delivery.close)

    def _replaced(self, node: str, connection: NodeConnection, code: int) -> None:
        """The node is connected to another instance now."""
        del self._nodes[node]
        connection.end(code, "replaced")
        if not self._nodes:
            self._empty.set()

    def _tell_all(self, message: Drain) -> None:
        self._deliver([Delivery(tuple(self._nodes), message)])

    # Time

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_interval)
            try:
                self._sweep(self._now())
            except Exception:  # the sweep must go on, whatever one connection did
                logger.exception("the sweep failed")

    def _sweep(self, now: float) -> None:
        self._deliver(self._hub.expire(now))
        self._reception.sweep(now)
        for node, connection in tuple(self._nodes.items()):
            if self._turn and now - connection.turn_at > self._turn.ttl / 2:
                connection.turn_at = now
                connection.tell(Turn(self._mint(node)))
