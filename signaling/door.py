"""Who comes in: counts connections, keeps the rates of addresses, and shares out the memory for slow readers."""

from __future__ import annotations

from http import HTTPStatus

from websockets.http11 import Request

from signaling import http
from signaling.cluster.wire import HANDSHAKES, MAX_ADDRESSES, MESSAGES, Used
from signaling.connection import NodeConnection
from signaling.limits import KeyedBuckets, Seats, TokenBucket, address_key
from signaling.metrics import Metrics
from signaling.proxies import TrustedProxies
from signaling.routes import origin_is_allowed
from signaling.settings import Settings

_SEATS = {"total": "limited_max_connections_total", "address": "limited_max_connections_per_address_total"}

SPARE_SEATS = 256
"""Connections beyond the maximum that live until they can be told why they are refused."""


class ServerDoor:
    """The door of one server."""

    def __init__(self, settings: Settings, metrics: Metrics, now: float) -> None:
        self._settings = settings
        self._metrics = metrics
        self._seats = Seats(settings.max_connections, settings.max_connections_per_address)
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self.inside: set[NodeConnection] = set()
        self.lagging: set[NodeConnection] = set()
        self._address_handshakes = KeyedBuckets(
            settings.handshakes_per_address, settings.handshakes_per_address_burst, settings.tracked_addresses
        )
        self._handshakes = TokenBucket(settings.handshakes, settings.handshakes_burst, now)
        self._address_messages = KeyedBuckets(
            settings.messages_per_address, settings.messages_per_address_burst, settings.tracked_addresses
        )
        self._messages = TokenBucket(settings.messages, settings.messages_burst, now)

    @property
    def tracked_addresses(self) -> int:
        """Addresses with a rate of their own."""
        return max(len(self._address_handshakes), len(self._address_messages))

    def enter(self, connection: NodeConnection) -> str | None:
        """Count it; None, or why it is refused: "total", "address", or "flood" when it is not even told."""
        self._metrics.count("connections_total")
        # Who is behind a proxy is known when its request has come.
        connection.seat = None if connection.client[0] in self._proxies else connection.address
        refusal = self._seats.take(connection.seat)
        if refusal:
            self._metrics.count("connections_refused_total")
            self._metrics.count(_SEATS[refusal])
            if len(self.inside) >= self._seats.total + SPARE_SEATS:
                return "flood"
        self.inside.add(connection)
        return refusal

    def leave(self, connection: NodeConnection) -> None:
        """It is gone."""
        self.inside.discard(connection)
        self.lagging.discard(connection)
        if connection.refusal is None:
            self._seats.leave(connection.seat)

    def behind(self, connection: NodeConnection, size: int) -> bool:
        """Whether `size` unsent bytes are more than this reader's share."""
        if not size:
            self.lagging.discard(connection)
            return False
        self.lagging.add(connection)
        share = self._settings.outgoing_bytes_in_all // len(self.lagging)
        if size <= min(self._settings.outgoing_bytes, share):
            return False
        self._metrics.count("slow_cut_total")
        alone = size > self._settings.outgoing_bytes
        self._metrics.count("limited_outgoing_bytes_total" if alone else "limited_outgoing_bytes_in_all_total")
        return True

    def sent(self) -> None:
        """A frame was written."""
        self._metrics.count("frames_sent_total")

    def room_for_head(self, size: int) -> int:
        """How many more bytes of a request are read when so many are here and it is not all there."""
        return max(0, self._settings.max_head - size)

    def long_head(self) -> None:
        """A request was longer than that; the connection is cut."""
        self._metrics.count("limited_max_head_total")

    def refuse(
        self, connection: NodeConnection, request: Request, now: float, *, draining: bool
    ) -> tuple[HTTPStatus, str] | None:
        """Why a request is not answered: an HTTP status and a line of text; None when it is."""
        if connection.refusal is None and connection.seat is None:
            self._find_client(connection, request)
        if connection.refusal == "total":
            return HTTPStatus.SERVICE_UNAVAILABLE, "The server is full.\n"
        if connection.refusal == "address":
            return HTTPStatus.TOO_MANY_REQUESTS, "Too many connections from your address.\n"
        if not self._address_handshakes.take(connection.address, now):
            self._metrics.count("limited_handshakes_per_address_total")
            return HTTPStatus.TOO_MANY_REQUESTS, "Too many requests from your address.\n"
        return self._refuse_websocket(connection, request, now, draining) if http.wants_websocket(request) else None

    def _find_client(self, connection: NodeConnection, request: Request) -> None:
        client = self._proxies.client(request.headers.get_all("X-Forwarded-For"))
        if client is None:
            return
        connection.client = (client, connection.client[1])
        connection.address = address_key(client)
        connection.refusal = self._seats.name(connection.address)
        if connection.refusal is None:
            connection.seat = connection.address
        else:
            self._metrics.count(_SEATS[connection.refusal])

    def _refuse_websocket(
        self, connection: NodeConnection, request: Request, now: float, draining: bool
    ) -> tuple[HTTPStatus, str] | None:
        if not connection.websockets:
            return HTTPStatus.FORBIDDEN, "WebSockets are served over TLS only: connect by wss://.\n"
        if draining:
            return HTTPStatus.SERVICE_UNAVAILABLE, "The server is going.\n"
        if not http.host_is_known(request, self._settings.hosts):
            return HTTPStatus.MISDIRECTED_REQUEST, "This server has another name.\n"
        if not self._origin_is_fine(request):
            self._metrics.count("origins_refused_total")
            return HTTPStatus.FORBIDDEN, "Pages of that website may not connect here.\n"
        if not self._handshakes.take(now):
            self._metrics.count("limited_handshakes_total")
            return HTTPStatus.SERVICE_UNAVAILABLE, "The server is busy.\n"
        return None

    def _origin_is_fine(self, request: Request) -> bool:
        origins, host = request.headers.get_all("Origin"), ",".join(request.headers.get_all("Host"))
        # With names of ours the Host has been found among them.
        ours = bool(self._settings.hosts)
        return origin_is_allowed(origins, host, self._settings.allow_origins, host_is_ours=ours)

    def may_message(self, address: str, now: float) -> bool:
        """Whether the server takes one more message from this address, and at all."""
        if not self._address_messages.take(address, now):
            self._metrics.count("limited_messages_per_address_total")
            return False
        if not self._messages.take(now):
            self._metrics.count("limited_messages_total")
            return False
        return True

    # Rates that a whole cluster shares

    @property
    def _shared(self) -> dict[str, KeyedBuckets]:
        return {HANDSHAKES: self._address_handshakes, MESSAGES: self._address_messages}

    def share(self) -> None:
        """Note what addresses use, for `take_used`."""
        for rate in self._shared.values():
            rate.share()

    def take_used(self) -> list[Used]:
        """What addresses used here since the last call."""
        used = [Used(what, rate.take_used(MAX_ADDRESSES)) for what, rate in self._shared.items()]
        return [one for one in used if one.amounts]

    def used_elsewhere(self, used: Used, now: float) -> None:
        """Count what addresses used at another instance."""
        rate = self._shared.get(used.what)
        if rate is not None:
            for address, amount in used.amounts.items():
                rate.used_elsewhere(address, amount, now)

    def sweep(self, now: float) -> None:
        """Forget idle addresses; cut readers that hold more than what has become their share."""
        self._address_handshakes.forget_full(now)
        self._address_messages.forget_full(now)
        for connection in tuple(self.lagging):
            if self.behind(connection, connection.transport.get_write_buffer_size()):
                connection.transport.abort()
