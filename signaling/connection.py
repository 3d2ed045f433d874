"""One client's WebSocket as the server holds it: counted at the door, written without waiting, cut when it lags.

There is one task for each connection, the one that reads. Writing needs none: a frame goes into the transport's own
buffer, whose size is the queue that is bounded. Pings come from the server's sweep instead of a keepalive task.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection, broadcast
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from signaling.limits import TokenBucket, address_key
from signaling.messages import ServerMessage, encode

CLOSE_TIMEOUT = 2.0
POLICY_VIOLATION = 1008
REPLACED = 4001
"""The close code for a connection whose id connected again."""

Address = tuple[str, int]

_NO_REQUEST = Request("/", Headers())


class Door(Protocol):
    """What a connection tells its server when it comes and goes."""

    def enter(self, connection: NodeConnection) -> str | None:
        """Count it; None, or why it is refused."""

    def leave(self, connection: NodeConnection) -> None:
        """It is gone."""

    def behind(self, connection: NodeConnection, size: int) -> bool:
        """So many bytes are unsent; True when that is more than it may have."""

    def sent(self) -> None:
        """A frame was written."""

    def room_for_head(self, size: int) -> int:
        """How many more bytes of a request are read when so many are here and it is not all there."""

    def long_head(self) -> None:
        """A request was longer than that; the connection is cut."""


class Host(Protocol):
    """Who sees to connections; it stands in the place of the library's server, which asks it for `is_serving` only."""

    def is_serving(self) -> bool:
        """Whether WebSockets may still open."""

    def attend(self, connection: NodeConnection) -> None:
        """It is there: see to it until it ends."""


class NodeConnection(ServerConnection):
    """A connection with what the server must know of it.

    `client` is who is at the other end, (literal, port), as a trusted proxy says where there is one; `address` is what
    its limits are counted by. Without `websockets` it gets plain HTTP only.
    """

    bucket: TokenBucket
    """The rate of its messages; made when it has proved its id."""

    def __init__(
        self,
        door: Door,
        host: Host,
        protocol: ServerProtocol,
        *,
        websockets: bool = True,
        client: Address | None = None,
        **options: Any,
    ) -> None:
        super().__init__(protocol, cast("Server", host), **options)
        self._door = door
        self._host = host
        self.websockets = websockets
        self.address = ""
        self.client = client or ("", 0)
        self.local: Address = ("", 0)
        self.path = ""
        self.seat: str | None = None
        self.refusal: str | None = None
        self.patience = 1.0
        self.says_got = False
        self.malformed = 0
        self._head = 0
        self._ending: asyncio.TimerHandle | None = None
        self.seen = self.pinged = self.turn_at = self.loop.time()

    @property
    def write_limit(self) -> int:
        """Unsent bytes beyond which `send` waits."""
        return self.write_limit_high or 0

    @property
    def is_open(self) -> bool:
        """Whether frames may be written."""
        return self.protocol.state is State.OPEN

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it before anything is read (asyncio.Protocol)."""
        if not self.client[0]:
            self.client = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.local = (transport.get_extra_info("sockname") or ("", 0))[:2]
        self.address = address_key(self.client[0])
        self.refusal = self._door.enter(self)
        Connection.connection_made(self, transport)
        self._host.attend(self)
        if self.refusal == "flood":
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Uncount it (asyncio.Protocol)."""
        if self._ending is not None:
            self._ending.cancel()
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Anything that arrives shows that the other side lives (asyncio.Protocol)."""
        self.seen = self.loop.time()
        if self.request is None:
            data = self._read_head(data)
        if data:
            super().data_received(data)

    def _read_head(self, data: bytes) -> bytes:
        """Take of a request what it may have; what came behind it."""
        room = self._door.room_for_head(self._head)
        self._head += len(data)
        super().data_received(data[:room])
        if self.request is None and len(data) > room:
            self._door.long_head()
            self.transport.abort()
            return b""
        return data[room:]

    def take_host(self) -> str:
        """The Host header of its request; the request itself is let go, headers are most of an idle node's memory."""
        host = ",".join(self.request.headers.get_all("Host")) if self.request else ""
        self.request, self.response = _NO_REQUEST, None
        return host

    def tell(self, message: ServerMessage) -> None:
        """Write a message."""
        self.write(encode(message))

    def write(self, frame: bytes) -> None:
        """Write a frame's text; a reader too far behind is cut instead of waited for."""
        if not self.is_open:
            return
        broadcast((self,), frame, text=True)
        self._door.sent()
        if self._door.behind(self, self.transport.get_write_buffer_size()):
            self.transport.abort()

    def write_bytes(self, frame: bytes) -> None:
        """Write a binary frame; how much may wait is the caller's to decide."""
        if self.is_open:
            broadcast((self,), frame)
            self._door.sent()

    def silence(self, now: float) -> float:
        """Seconds since something came, in keepalive terms; none while it is us who do not read."""
        if not self.transport.is_reading():
            self.seen = now
        return (now - self.seen) / self.patience

    def ping_now(self, now: float) -> None:
        """Send a ping; the answer shows in `seen`."""
        self.pinged = now
        if self.is_open:
            self.protocol.send_ping(b"")
            self.send_data()

    async def sees(self, future: asyncio.Future[Any], seconds: float) -> bool:
        """Whether `future` is done before the connection ends and so many seconds are over."""
        await asyncio.wait((future, self.connection_lost_waiter), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return future.done()

    async def lasts(self, seconds: float) -> bool:
        """Whether the connection is still there so many seconds later; when it is not, that is known at once."""
        await asyncio.wait((self.connection_lost_waiter,), timeout=seconds)
        return not self.connection_lost_waiter.done()

    def end(self, code: int, reason: str, within: float | None = None) -> None:
        """Start to close, and cut the connection if the other side does not answer that within so many seconds."""
        if self.is_open:
            self.protocol.send_close(code, reason)
            self.send_data()
            self._ending = self.loop.call_later(CLOSE_TIMEOUT if within is None else within, self.transport.abort)
