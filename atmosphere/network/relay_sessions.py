"""The WebSocket relay: two clients of one session, `/relay/{session}`, get each other's messages as they are.

The first client waits for the second; what it sends meanwhile waits in its own connection, unread. A third is refused.
When one leaves, the other is told by the close code. A reader that is slow slows its writer down, and nobody else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import ConnectionClosed

from signaling.backlog import Backlog
from signaling.connection import NodeConnection
from signaling.limits import Seats, TokenBucket
from signaling.routes import Route

NOBODY_CAME, FULL, LEFT, TOO_MANY = 4408, 4409, 4410, 4429
"""Close codes, after the HTTP statuses they resemble."""

SESSION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PATH: Final = re.compile(f"/relay/({SESSION.pattern})")

PATIENCE = 6.0
"""How much longer than a node a client may be silent: whoever reads slowly answers pings late."""
FAREWELL = 60.0
"""Seconds for the last messages to reach the one who stays."""
BURST_SECONDS = 0.25

COUNTERS: Final = {
    "relay_sessions_total": "sessions that a first client opened",
    "relay_sessions_joined_total": "sessions that a second client joined",
    "relay_clients_refused_total": "clients refused: a third one, or too many sessions",
    "relay_sessions_alone_total": "sessions that nobody joined in time",
    "relay_messages_total": "messages passed on",
    "relay_bytes_total": "bytes passed on",
    "relay_crowded_total": "messages for which less room was made because much waited for all readers",
}
GAUGES: Final = {"relay_sessions": "sessions now", "relay_waiting_bytes": "bytes that wait for clients to read them"}


@dataclass(frozen=True)
class SessionLimits:
    """Sessions in all and of one first client's address; seconds to wait for the second; bytes of a message.

    `bytes_per_second` is one session's, both directions together; 0: as much as there is. `write_buffers` are the bytes
    that wait for all readers together, and one message more for each of them.
    """

    sessions: int = 1024
    sessions_per_address: int = 32
    waiting: float = 120.0
    message_bytes: int = 65_536
    bytes_per_second: float = 0.0
    write_buffers: int = 67_108_864


class _Session:
    """One session: who opened it, and in time who joined."""

    def __init__(self, opener: NodeConnection, bucket: TokenBucket | None) -> None:
        self.opener = opener
        self.bucket = bucket
        self.joined: asyncio.Future[NodeConnection] = opener.loop.create_future()


class RelaySessions:
    """All sessions of one server. A source of numbers for /stats and /metrics."""

    def __init__(self, limits: SessionLimits | None = None) -> None:
        self.limits = limits or SessionLimits()
        self.counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._backlog = Backlog(self.limits.write_buffers)
        self._sessions: dict[str, _Session] = {}
        self._seats = Seats(self.limits.sessions, self.limits.sessions_per_address)

    def route(self) -> Route:
        """Where a server's WebSockets lead to the sessions."""
        matches: Callable[[str], bool] = lambda path: _PATH.fullmatch(path) is not None  # noqa: E731
        return Route(matches, self._handle, "a relay for two", self.limits.message_bytes)

    def stats(self) -> dict[str, float]:
        """Gauges and counters by name."""
        waiting = self._backlog.total()
        return {"relay_sessions": len(self._sessions), "relay_waiting_bytes": waiting, **self.counts}

    async def _handle(self, connection: NodeConnection) -> None:
        connection.patience = PATIENCE
        name = connection.path.removeprefix("/relay/")
        session = self._sessions.get(name)
        if session is None:
            await self._open(name, connection)
        elif session.joined.done():
            self._refuse(connection, FULL, "the session has two clients already")
        else:
            self.counts["relay_sessions_joined_total"] += 1
            session.joined.set_result(connection)
            await self._pass_on(session, connection, session.opener)

    async def _open(self, name: str, connection: NodeConnection) -> None:
        refusal = self._seats.take(connection.address)
        if refusal:
            of = "" if refusal == "total" else " of your address"
            self._refuse(connection, TOO_MANY, f"there are too many sessions{of}")
            return
        self.counts["relay_sessions_total"] += 1
        session = self._sessions[name] = _Session(connection, self._bucket(connection.loop.time()))
        try:
            if await connection.sees(session.joined, self.limits.waiting):
                await self._pass_on(session, connection, session.joined.result())
            elif connection.is_open:
                self.counts["relay_sessions_alone_total"] += 1
                connection.end(NOBODY_CAME, "nobody joined the session")
        finally:
            session.joined.cancel()
            self._seats.leave(connection.address)
            if self._sessions.get(name) is session:
                del self._sessions[name]

    def _bucket(self, now: float) -> TokenBucket | None:
        rate = self.limits.bytes_per_second
        return TokenBucket(rate, max(rate * BURST_SECONDS, self.limits.message_bytes), now) if rate else None

    def _refuse(self, connection: NodeConnection, code: int, reason: str) -> None:
        self.counts["relay_clients_refused_total"] += 1
        connection.end(code, reason)

    async def _pass_on(self, session: _Session, source: NodeConnection, sink: NodeConnection) -> None:
        """Messages of one to the other until one of them is gone."""
        self._watch(sink)
        try:
            while True:
                message = await source.recv()
                size = len(message.encode() if isinstance(message, str) else message)
                delay = session.bucket.charge(source.loop.time(), size) if session.bucket else 0.0
                if delay and not await sink.lasts(delay):
                    return
                self._make_room(sink, size)
                await sink.send(message)
                self.counts["relay_messages_total"] += 1
                self.counts["relay_bytes_total"] += size
        except ConnectionClosed:
            return
        finally:
            sink.end(LEFT, "the other client left", within=FAREWELL)

    def _watch(self, sink: NodeConnection) -> None:
        """Count what waits for it for as long as it is there: also when it stays for the last messages only."""
        self._backlog.add(sink, sink.transport.get_write_buffer_size)
        sink.connection_lost_waiter.add_done_callback(lambda _: self._backlog.remove(sink))

    def _make_room(self, sink: NodeConnection, size: int) -> None:
        """Set how much may wait for it before its writer waits."""
        most, share = sink.write_limit, self._backlog.share(sink.loop.time())
        if share < most:
            self.counts["relay_crowded_total"] += 1
        sink.transport.set_write_buffer_limits(high=min(most, share))
        self._backlog.grew(size)
