"""One end of a session on a relay: messages to whoever has the other end, through two WebSockets.

Nothing is encrypted but the way to the server, with wss://: the server sees every message. `atmosphere.Node` is for
those who mind.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from atmosphere.errors import LinkError, Refused, Unreachable
from atmosphere.network.relay_sessions import FULL, LEFT, SESSION, TOO_MANY
from signaling.errors import InvalidURL
from signaling.url import normalize

PING_INTERVAL = 20.0
PING_TIMEOUT = 300.0
"""Seconds; long, since a server that waits for the other client's reader does not read our pings meanwhile."""
QUEUE = 16
"""Messages that wait for `receive` before the other side is slowed down."""
MAX_MESSAGE = 1 << 20


class RelayClient:
    """A client of `session` (1 to 64 of A–Z, a–z, 0–9, `-`, `_`) on the relay at `url` (ws:// or wss://).

    `async with RelayClient(url, session) as client:` or `connect` and `disconnect`. Messages are `str` or `bytes`, and
    arrive as they were sent. Raises ValueError for a session or a URL that is none.
    """

    def __init__(self, url: str, session: str, *, tls: ssl.SSLContext | None = None) -> None:
        if not SESSION.fullmatch(session):
            raise ValueError(f"{session[:80]!r} is no session; it has 1 to 64 letters, digits, - or _")
        try:
            base = normalize(url)
        except InvalidURL as error:
            raise ValueError(str(error)) from None
        self.url = f"{base.rstrip('/')}/relay/{session}"
        self.session = session
        self._tls = tls
        self._websocket: ClientConnection | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the relay; the other client may still be missing."""
        return self._websocket is not None and self._websocket.close_code is None

    async def connect(self, timeout: float = 10.0) -> None:
        """Take a place in the session; raises Refused when both are taken, Unreachable when the relay is not there.

        The other client may come later, within the relay's patience (two minutes): messages wait for it.
        """
        options: dict[str, Any] = {"ssl": self._tls} if self._tls is not None else {}
        try:
            websocket = await connect(
                self.url,
                open_timeout=timeout,
                compression=None,
                max_size=MAX_MESSAGE,
                max_queue=QUEUE,
                ping_interval=PING_INTERVAL,
                ping_timeout=PING_TIMEOUT,
                user_agent_header="atmosphere",
                **options,
            )
            # Whoever is refused hears it before the answer to a first ping.
            await (await websocket.ping())
        except ConnectionClosed as closed:
            raise _why_closed(closed) from closed
        except InvalidStatus as error:
            raise _why_not(error) from error
        except (InvalidHandshake, WebSocketException, OSError) as error:
            raise Unreachable(f"no relay at {self.url}: {str(error) or type(error).__name__}") from error
        self._websocket = websocket

    async def send(self, message: str | bytes) -> None:
        """Send a message (65,536 bytes at most, unless the relay takes more); waits while the reader is behind.

        Raises LinkError when the other client, or the relay, is gone.
        """
        try:
            await self._connection().send(message)
        except ConnectionClosed as closed:
            raise _why_closed(closed) from closed

    async def receive(self) -> str | bytes:
        """The next message; raises LinkError when the other client, or the relay, is gone."""
        try:
            return await self._connection().recv()
        except ConnectionClosed as closed:
            raise _why_closed(closed) from closed

    async def disconnect(self) -> None:
        """Leave the session; the other client is told. Twice is fine."""
        if self._websocket is not None:
            await self._websocket.close()

    async def __aenter__(self) -> RelayClient:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """The messages until the other client leaves; raises LinkError when something breaks instead."""
        while True:
            try:
                message = await self._connection().recv()
            except ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code in (LEFT, 1000):
                    return
                if closed.sent is not None and closed.sent.code == 1000:
                    return  # we left
                raise _why_closed(closed) from closed
            yield message

    def _connection(self) -> ClientConnection:
        if self._websocket is None:
            raise LinkError("not connected to the relay")
        return self._websocket


def _why_not(error: InvalidStatus) -> Refused | Unreachable:
    status = error.response.status_code
    text = error.response.body.decode(errors="replace").strip()[:100] if error.response.body else ""
    said = f"HTTP {status}" + (f": {text}" if text else "")
    return Refused(f"the relay refused: {said}") if status in (403, 421, 429, 503) else Unreachable(f"no relay: {said}")


def _why_closed(closed: ConnectionClosed) -> Refused | LinkError:
    if closed.rcvd is None:
        return LinkError("the connection to the relay broke")
    reason = closed.rcvd.reason or f"the relay closed the connection ({closed.rcvd.code})"
    return Refused(reason) if closed.rcvd.code in (FULL, TOO_MANY) else LinkError(reason)
