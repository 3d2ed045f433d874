"""The TURN server without its sockets (RFC 8656). Pure: bytes and `now` in; what is sent goes to flows and relays.

It is wired here and decided elsewhere: `auth` (who), `guard` (may a stranger be answered), `allocate` and `requests`
(what is granted), `data` (what moves), `policy` (where to), `quota` (how much).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.stun.message import Class, Message, Method, decode, encode, error_response
from atmosphere.stun.server import BindingServer
from atmosphere.turn.server.allocate import Allocator
from atmosphere.turn.server.allocation import Allocation
from atmosphere.turn.server.auth import Authenticator, Ignored, Login, Unproven
from atmosphere.turn.server.bursts import MALFORMED, NOT_CHANNEL_DATA, Run, message_runs, runs
from atmosphere.turn.server.data import DataPath
from atmosphere.turn.server.errors import REASONS, TurnError
from atmosphere.turn.server.flow import Address, Flow
from atmosphere.turn.server.guard import ReflectionGuard
from atmosphere.turn.server.host import Host
from atmosphere.turn.server.metrics import Metrics
from atmosphere.turn.server.nonce import Nonces
from atmosphere.turn.server.opener import Opener
from atmosphere.turn.server.policy import PeerPolicy
from atmosphere.turn.server.quota import Quotas
from atmosphere.turn.server.requests import Requests
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.table import Table
from atmosphere.turn.server.users import Users, identity_of
from atmosphere.turn.server.wire import peer_addresses, signed
from atmosphere.udp.window import Window

MAX_MESSAGE = 20 + 65535
"""Bytes: a Send indication carries a whole datagram."""
_MAX_UNKNOWN = 8
_HANDLED = (Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND)
_REFUSED = {
    401: "turn_unauthorized_total",
    403: "turn_refused_peer_total",
    438: "turn_challenged_total",
    486: "turn_refused_quota_total",
    508: "turn_refused_capacity_total",
}


class TurnCore:
    """One relay. `now` is in monotonic seconds, `unix()` tells the time of day for credentials that end."""

    def __init__(
        self, settings: TurnSettings, users: Users, host: Host, unix: Callable[[], float], key: bytes | None = None
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.policy = PeerPolicy(settings)
        self.table = Table()
        self.quotas = Quotas(settings)
        self.binding = BindingServer()
        self.data = DataPath(self.table, self.policy, self.metrics)
        self._users = users
        self._host = host
        self.guard = ReflectionGuard(
            burst=settings.unproven_bytes, rate=settings.unproven_bytes_per_second, size=settings.sources
        )
        nonces = Nonces(key or secrets.token_bytes(32), settings.nonce_lifetime)
        self._auth = Authenticator(settings, users, nonces, self.guard.proved, unix)
        self._opener = Opener(settings, host, self.data.from_peer)
        self.allocator = Allocator(settings, self._opener, self.quotas, self.table, host.dont_fragment)
        self._requests = Requests(self.policy, self.allocator, self.table, self.end)

    def start(self) -> None:
        """Open what all allocations share; raises OSError."""
        self._opener.start()

    def move(self, addresses: Mapping[str, str], programs: Mapping[Address, Address]) -> None:
        """This machine's addresses changed: see `PeerPolicy.move`."""
        self.settings = replace(self.settings, addresses=dict(addresses))
        self._opener.move(self.settings)
        self.policy.move(addresses, programs)

    # what arrives

    def burst(self, flow: Flow, window: Window, size: int, segment: int, now: float) -> bool:
        """Datagrams of one client, as one read gave them: `segment` bytes each, the last perhaps fewer.

        Whether there was more than data, so that allocations and `deadline` may have changed.
        """
        return self._runs(flow, runs(window, size, segment), now)

    def messages(self, flow: Flow, messages: Sequence[bytes], now: float) -> bool:
        """Whole messages of one client, as a connection carries them; what it tells is as of `burst`."""
        return self._runs(flow, message_runs(messages), now)

    def _runs(self, flow: Flow, found: Iterable[Run], now: float) -> bool:
        more = False
        for number, parts, segment in found:
            if number == NOT_CHANNEL_DATA:
                self._stun(flow, bytes(parts[0]), now)
                more = True
            elif number == MALFORMED:
                self.metrics.count("turn_malformed_total")
            elif flow.allocation is None:
                self.metrics.count("turn_dropped_channel_total", len(parts))
            else:
                self.data.from_channel(flow.allocation, number, parts, segment, now)
        return more

    def _stun(self, flow: Flow, data: bytes, now: float) -> None:
        try:
            message = decode(data, max_size=MAX_MESSAGE)
        except DecodeError:
            self.metrics.count("turn_malformed_total")
            return
        if message.message_class is Class.REQUEST:
            if message.message_method in _HANDLED:
                self._request(flow, message, data, now)
            else:
                self._bound(flow, message, now)
        elif message.message_class is Class.INDICATION and message.message_method is Method.SEND:
            self._send(flow, message, now)

    def _bound(self, flow: Flow, message: Message, now: float) -> None:
        answer = self.binding.answer(message, flow.client, now)
        if answer is not None:
            flow.write([answer])

    # requests

    def _request(self, flow: Flow, request: Message, data: bytes, now: float) -> None:
        self.metrics.count("turn_requests_total")
        login: Login | None = None
        try:
            login = self._auth.login(flow, request, now)
            answer = self._answer(flow, login, request, data, now)
        except TurnError as error:
            self._refuse(flow, request, error, login, len(data), now)
        except Ignored:
            self.metrics.count("turn_unauthorized_total")
        else:
            flow.write([answer])

    def _answer(self, flow: Flow, login: Login, request: Message, data: bytes, now: float) -> bytes:
        allocation = flow.allocation
        if request.unknown:
            raise TurnError(420, {"UNKNOWN-ATTRIBUTES": request.unknown[:_MAX_UNKNOWN]})
        if request.message_method is Method.ALLOCATE:
            return self._allocate(flow, login, request, now)
        if allocation is None:
            raise TurnError(437)
        if allocation.login.username != login.username:
            raise TurnError(441)
        if request.message_method is Method.REFRESH:
            attributes = self._requests.refresh(allocation, request, now)
        elif request.message_method is Method.CREATE_PERMISSION:
            attributes = self._requests.create_permission(allocation, _peers(data), now)
        else:
            attributes = self._requests.channel_bind(allocation, request, now)
        return self._signed(request, attributes, login)

    def _allocate(self, flow: Flow, login: Login, request: Message, now: float) -> bytes:
        allocation = flow.allocation
        if allocation is not None:
            if allocation.transaction_id != request.transaction_id:
                raise TurnError(437)
            return allocation.answer  # the client did not get it (RFC 8656 §7.2, point 2)
        made, attributes = self.allocator.allocate(flow, login, request, now)
        answer = self._signed(request, attributes, login)
        made.transaction_id, made.answer = request.transaction_id, answer
        self.metrics.count("turn_allocated_total")
        return answer

    def _signed(self, request: Message, attributes: dict[str, Any], login: Login) -> bytes:
        response = Message(request.message_method, Class.RESPONSE, request.transaction_id, attributes)
        response.attributes["SOFTWARE"] = self.settings.software
        return signed(response, login.key, _by_sha256(request))

    def _refuse(
        self, flow: Flow, request: Message, error: TurnError, login: Login | None, size: int, now: float
    ) -> None:
        # Strangers get no more bytes than needed: neither SOFTWARE nor FINGERPRINT (see `guard`).
        response = error_response(request, error.code, REASONS[error.code], error.attributes)
        answer = encode(response) if login is None else signed(response, login.key, _by_sha256(request))
        unproven = isinstance(error, Unproven)
        if unproven and flow.transport == "udp" and not self.guard.permits(flow.client[0], size, len(answer), now):
            self.metrics.count("turn_unanswered_total")
            return
        name = "turn_challenged_total" if unproven else _REFUSED.get(error.code, "turn_refused_other_total")
        self.metrics.count(name)
        flow.write([answer])

    # indications

    def _send(self, flow: Flow, message: Message, now: float) -> None:
        """A Send indication (RFC 8656 §11.2): never answered, dropped where anything about it is wrong."""
        peer, payload = message.attributes.get("XOR-PEER-ADDRESS"), message.attributes.get("DATA")
        whole = "DONT-FRAGMENT" in message.attributes
        refused = bool(message.unknown) or (whole and not self._host.dont_fragment)
        if peer is None or payload is None or refused:
            self.metrics.count("turn_malformed_total")
        elif flow.allocation is None:
            self.metrics.count("turn_dropped_channel_total")
        else:
            self.data.to_peer(flow.allocation, peer, (payload,), len(payload), now, whole)

    # ends

    def end(self, allocation: Allocation) -> None:
        """End an allocation now."""
        self.allocator.end(allocation)
        self._host.ended(allocation.flow)

    def close_flow(self, flow: Flow) -> None:
        """The client's connection is gone, and with it its allocation."""
        if flow.allocation is not None:
            self.end(flow.allocation)

    def revoke(self, username: str) -> None:
        """End everything of a user, under this name or counted as it."""
        names = {username, identity_of(self._users, username)}
        for allocation in self.table.having(lambda one: not names.isdisjoint((one.login.username, one.login.identity))):
            self.end(allocation)
        for name in names:
            self.allocator.reservations.drop(name)

    def close(self) -> None:
        """End everything."""
        for allocation in self.table:
            self.end(allocation)
        self.allocator.reservations.drop()
        self._opener.stop()

    def deadline(self) -> float | None:
        """When `tick` is next wanted, or None."""
        times = (self.table.deadline(), self.allocator.reservations.deadline())
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: float) -> None:
        """End what has run out."""
        for allocation in self.table.expired(now):
            self.end(allocation)
        self.allocator.reservations.expire(now)

    def gauges(self) -> dict[str, float]:
        """What there is now, by names of `metrics.GAUGES`."""
        return {
            "turn_allocations": len(self.table),
            "turn_users": self.quotas.users,
            "turn_reservations": len(self.allocator.reservations),
            "turn_tracked_sources": len(self.guard),
        }


def _by_sha256(request: Message) -> bool:
    """How the answer is signed: by SHA-256 where the request chose an algorithm (RFC 8489 §9.2.4)."""
    return "PASSWORD-ALGORITHM" in request.attributes


def _peers(data: bytes) -> list[tuple[str, int]]:
    try:
        return peer_addresses(data)
    except ValueError as error:
        raise TurnError(400) from error
