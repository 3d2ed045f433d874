"""TURN over WebSocket (RFC 6455), the client: subprotocol `turn`; a binary frame holds one or more whole messages.

ChannelData is padded to 4 bytes, as over TCP. What is written in one turn of the loop leaves as one frame, so that a
burst stays a burst on its way through the server. Where a proxy is named, websockets goes through it by CONNECT.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException
from websockets.frames import Close, CloseCode
from websockets.protocol import State
from websockets.typing import Subprotocol

from atmosphere.errors import DecodeError, Unreachable
from atmosphere.tasks import Tasks
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.protocol import Receiver, StreamTurnProtocol
from atmosphere.turn.stream import split
from signaling.printable import printable
from signaling.proxy import describe_proxy_error

logger = logging.getLogger(__name__)
_quiet = logging.getLogger(f"{__name__}.frames")
_quiet.setLevel(logging.WARNING)
"""websockets' own: at DEBUG it would write down every frame."""

SUBPROTOCOL = Subprotocol("turn")
MAX_SENT = 65_536
"""Bytes of a frame we send, unless a single message is longer."""
MAX_RECEIVED = 131_072
PING_INTERVAL, PING_TIMEOUT = 15.0, 10.0
CLOSE_TIMEOUT = 1.0


class WebSocketTransport(asyncio.Transport):
    """A WebSocket in the place of a TCP connection; tells `protocol` what comes and when it ends."""

    def __init__(self, websocket: ClientConnection, protocol: WebSocketTurnProtocol) -> None:
        super().__init__()
        self._websocket = websocket
        self._protocol = protocol
        self._waiting: list[bytes] = []
        self._size = 0
        self._tasks = Tasks("turn websocket")
        self._tasks.spawn(self._read(), "read")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a whole message, together with whatever else is written in this turn of the loop."""
        if self._size + len(data) > MAX_SENT:
            self._flush()
        if not self._waiting:
            self._websocket.loop.call_soon(self._flush)
        self._waiting.append(bytes(data))
        self._size += len(data)

    def _flush(self) -> None:
        frame, self._waiting, self._size = b"".join(self._waiting), [], 0
        if frame and not self.is_closing():
            self._websocket.protocol.send_binary(frame)
            self._websocket.send_data()

    def get_write_buffer_size(self) -> int:
        """Bytes that have not gone to the operating system."""
        return self._size + self._websocket.transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._websocket.protocol.state is not State.OPEN or self._websocket.transport.is_closing()

    def close(self) -> None:
        """Send what waits, say goodbye and go, without waiting for the server's."""
        if not self.is_closing():
            self._flush()
            self._websocket.protocol.send_close(1000)
            self._websocket.send_data()
        self._websocket.transport.close()
        self._websocket.loop.call_later(CLOSE_TIMEOUT, self._websocket.transport.abort)

    def abort(self) -> None:
        """End the connection at once."""
        self._websocket.transport.abort()

    async def _read(self) -> None:
        reason: str | None = None
        try:
            while True:
                self._protocol.frame_received(await self._websocket.recv())
        except ConnectionClosed as closed:
            reason = _why_closed(closed)
        except DecodeError as error:
            logger.info("TURN server %s: %s", self._protocol.server[0], error)
            reason = "the server sent what is not TURN"
        finally:
            self.abort()
            self._protocol.connection_lost(ConnectionError(reason) if reason else None)


class WebSocketTurnProtocol(StreamTurnProtocol):
    """TURN over WebSocket."""

    def frame_received(self, frame: bytes | str) -> None:
        """One frame; raises DecodeError for one that holds anything but whole messages."""
        if isinstance(frame, str):
            raise DecodeError("a text frame")
        for message in split(frame):
            self.datagram_received(message, self.server)


class _Connect(connect):
    """A connection to the server that was named, and to no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow no redirect: credentials are for the server in the URI."""
        return exc


async def open_websocket(end: TurnEndpoint, owner: Receiver) -> WebSocketTurnProtocol:
    """A connection to the server at `end`; raises Unreachable with one line, or OSError."""
    try:
        websocket = await _open(end)
    except (WebSocketException, OSError, ImportError) as error:
        reason = _why_not(error) if end.proxy is None else describe_proxy_error(error) or _why_not(error)
        if reason is None:
            raise
        raise Unreachable(reason) from error
    if websocket.subprotocol != SUBPROTOCOL:
        websocket.transport.abort()
        raise Unreachable("there is a WebSocket, but no TURN server behind it")
    protocol = WebSocketTurnProtocol(owner, end.address, end.username, end.password, end.family)
    protocol.connection_made(WebSocketTransport(websocket, protocol))
    return protocol


async def _open(end: TurnEndpoint) -> ClientConnection:
    options: dict[str, Any] = {"ssl": end.tls} if end.tls is not None and end.transport == "wss" else {}
    if end.proxy is None:
        options |= {"host": end.address[0], "port": end.address[1]}
    return await _Connect(
        end.url,
        proxy=end.proxy,
        subprotocols=[SUBPROTOCOL],
        compression=None,
        user_agent_header="atmosphere",
        open_timeout=None,
        ping_interval=PING_INTERVAL,
        ping_timeout=PING_TIMEOUT,
        close_timeout=CLOSE_TIMEOUT,
        max_size=MAX_RECEIVED,
        logger=_quiet,
        **options,
    )


def _why_not(error: Exception) -> str | None:
    """One line on a failed opening; None where it is the network's or TLS's, which is told elsewhere."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return f"HTTP {status}: no TURN there" if status == 404 else f"the server answered HTTP {status}"
    if isinstance(error, InvalidHandshake):
        return "no WebSocket server there"
    return None


def _why_closed(closed: ConnectionClosed) -> str:
    if closed.rcvd is not None and closed.rcvd_then_sent is not False:
        return f"the server closed the connection ({_described(closed.rcvd)})"
    if closed.sent is not None and closed.sent.code == CloseCode.INTERNAL_ERROR:
        return "no answer"
    if closed.sent is not None:
        return f"the server broke the rules of WebSocket ({_described(closed.sent)})"
    return "the connection broke"


def _described(close: Close) -> str:
    return f"{close.code} {printable(close.reason)}".rstrip()
