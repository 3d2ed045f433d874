"""The bytes between us and a broker: TCP, TLS, or binary frames of a WebSocket (MQTT 5.0 §6)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Any, Protocol, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK
from websockets.typing import Subprotocol

from signaling.errors import DecodeError, SignalingError
from signaling.mqtt.url import Broker
from signaling.proxy import describe_proxy_error, proxy_for
from signaling.session import CLOSE_TIMEOUT

_quiet = logging.getLogger("signaling.websocket")

CHUNK = 64 * 1024
"""Bytes read at once, over TCP."""
MAX_FRAME = 1024 * 1024
"""Bytes of a WebSocket frame; a broker may put many packets into one."""
MAX_EMPTY = 16
"""Empty frames in a row; they carry nothing that a pace could count."""


class Transport(Protocol):
    """One connection; what `read` and `write` raise when it breaks, `signaling.session.describe` puts into words."""

    async def read(self) -> bytes:
        """Some more bytes; none at the end."""

    async def write(self, data: bytes) -> None:
        """Hand over bytes, and wait while too many wait already."""

    async def finish(self) -> None:
        """End it properly, as far as the other side plays along."""

    def abort(self) -> None:
        """End it now."""


async def open_transport(broker: Broker, ssl_context: ssl.SSLContext | None) -> Transport:
    """A connection to the broker, its certificate verified where there is one; raises what describe() knows."""
    context = (ssl_context or ssl.create_default_context()) if broker.tls else None
    if not broker.scheme.endswith("+mqtt"):
        return _Tcp(*await asyncio.open_connection(broker.host, broker.port, ssl=context, limit=CHUNK))
    websocket = await _connect(broker, context)
    if websocket.subprotocol != "mqtt":
        websocket.transport.abort()
        raise SignalingError("the server speaks WebSocket, but not MQTT in it")
    return _WebSocket(websocket)


async def _connect(broker: Broker, context: ssl.SSLContext | None) -> ClientConnection:
    url = f"{'wss' if broker.tls else 'ws'}://{broker.place}{broker.path}"
    proxy = proxy_for(url)
    options: dict[str, Any] = {} if context is None else {"ssl": context}
    connecting = _Connect(
        url,
        proxy=proxy,
        subprotocols=[Subprotocol("mqtt")],
        compression=None,
        user_agent_header="atmosphere-signaling",
        open_timeout=None,
        ping_interval=None,  # MQTT has its own
        close_timeout=CLOSE_TIMEOUT,
        max_size=MAX_FRAME,
        logger=_quiet,
        **options,
    )
    try:
        return await connecting
    except Exception as error:
        at_proxy = None if proxy is None else describe_proxy_error(error)
        if at_proxy is None:
            raise
        raise SignalingError(at_proxy) from None  # the error itself may show the proxy's password


class _Connect(connect):
    """A connection to the broker that was named: our password is for no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow no redirect."""
        return exc


class _Tcp:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._transport = cast("asyncio.Transport", writer.transport)

    async def read(self) -> bytes:
        # Between two reads bytes gather in the kernel: picked up one small packet a time, a flood would keep us busy.
        self._transport.resume_reading()
        try:
            return await self._reader.read(CHUNK)
        finally:
            self._transport.pause_reading()

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def finish(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        self._transport.abort()


class _WebSocket:
    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    async def read(self) -> bytes:
        for _ in range(MAX_EMPTY):
            try:
                frame = await self._websocket.recv()
            except ConnectionClosedOK:
                return b""
            if isinstance(frame, str):
                raise DecodeError("the broker sent text")
            if frame:
                return frame
        raise DecodeError("the broker sends empty frames")

    async def write(self, data: bytes) -> None:
        await self._websocket.send(data)

    async def finish(self) -> None:
        await self._websocket.close()

    def abort(self) -> None:
        self._websocket.transport.abort()
