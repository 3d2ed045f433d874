"""Opening one connection to a server: a proxy if need be, TCP or TLS, WebSocket, challenge, proof, welcome."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus
from websockets.protocol import State

from signaling.auth import Signer, id_of, prove
from signaling.errors import DecodeError, Rejected, SignalingError
from signaling.messages import (
    MAX_MESSAGE,
    PROTOCOL,
    Challenge,
    Error,
    ServerMessage,
    Welcome,
    decode_server,
    encode,
)
from signaling.printable import printable
from signaling.proxy import describe_proxy_error, proxy_for

M = TypeVar("M", Challenge, Welcome)

_quiet = logging.getLogger("signaling.websocket")

OPEN_TIMEOUT = 8.0
"""Seconds for everything from the name's resolution to the welcome."""

CLOSE_TIMEOUT = 1.0
MAX_UNSENT = 2 * 1024 * 1024


class _Connect(connect):
    """A connection to the server that was named, and to no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow no redirect: the host is part of what is signed, and a server must not send us elsewhere."""
        return exc


async def open_session(
    url: str, signer: Signer, ssl_context: ssl.SSLContext | None
) -> tuple[ClientConnection, Welcome]:
    """A connection that is welcome, and its welcome; raises SignalingError whatever goes wrong."""
    proxy = proxy_for(url)
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            websocket = await _connect(url, ssl_context, proxy)
            try:
                return websocket, await _introduce(websocket, signer)
            except BaseException:
                websocket.transport.abort()
                raise
    except SignalingError:
        raise
    except Exception as error:
        # Names, proxies, TLS and HTTP fail in many types; to the caller all are the same: no use of this server.
        at_proxy = None if proxy is None else describe_proxy_error(error)
        raise SignalingError(at_proxy or describe(error)) from error


async def _connect(url: str, ssl_context: ssl.SSLContext | None, proxy: str | None) -> ClientConnection:
    options: dict[str, Any] = {"ssl": ssl_context} if ssl_context and url.startswith("wss:") else {}
    return await _Connect(
        url,
        proxy=proxy,
        compression=None,
        user_agent_header="atmosphere-signaling",
        open_timeout=None,
        ping_interval=None,  # liveness.py pings
        close_timeout=CLOSE_TIMEOUT,
        max_size=2 * MAX_MESSAGE,
        write_limit=2 * MAX_UNSENT,  # so that no write ever waits; `MAX_UNSENT` ends the connection before
        logger=_quiet,
        **options,
    )


async def _introduce(websocket: ClientConnection, signer: Signer) -> Welcome:
    challenge = await _expect(websocket, Challenge)
    if challenge.protocol != PROTOCOL:
        raise SignalingError(f"the server speaks protocol {challenge.protocol}, this program {PROTOCOL}")
    assert websocket.request is not None  # noqa: S101 (it is what opened the connection)
    hello = prove(signer, websocket.request.headers["Host"], challenge.nonce, got=True)
    await websocket.send(encode(hello), text=True)
    welcome = await _expect(websocket, Welcome)
    if welcome.id != id_of(signer.public_key):
        raise SignalingError("the server took us for somebody else")
    return welcome


async def _expect(websocket: ClientConnection, kind: type[M]) -> M:
    message = decode_frame(await websocket.recv())
    if isinstance(message, Error):
        raise Rejected(message.code, message.text)
    if not isinstance(message, kind):
        raise SignalingError(f"the server sent {type(message).__name__.lower()} instead of {kind.__name__.lower()}")
    return message


def decode_frame(frame: str | bytes) -> ServerMessage:
    """The message in a frame; raises DecodeError."""
    if isinstance(frame, bytes):
        raise DecodeError("a binary frame; messages are text")
    return decode_server(frame)


def leave(websocket: ClientConnection) -> None:
    """Begin to close; the reader sees the end of it. Nothing happens when it has ended already."""
    if websocket.protocol.state is State.OPEN:
        websocket.protocol.send_close(1001, "leaving")
        websocket.send_data()
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, websocket.transport.abort)


def describe(error: BaseException) -> str:
    """One line on why a server cannot be used."""
    if isinstance(error, TimeoutError):
        return f"no answer within {OPEN_TIMEOUT:.0f} s"
    if isinstance(error, InvalidStatus):
        return f"the server answered HTTP {error.response.status_code}"
    if isinstance(error, ConnectionClosed):
        return _describe_close(error)
    if isinstance(error, InvalidProxy):
        return error.msg  # the whole text has the proxy's password
    if isinstance(error, socket.gaierror):
        return "the server's name does not resolve"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(" ".join(str(error).split())) or type(error).__name__


def _describe_close(error: ConnectionClosed) -> str:
    if error.rcvd:
        return f"the server closed the connection ({error.rcvd.code} {printable(error.rcvd.reason)})"
    if error.sent:
        return f"the connection was ended because of the server ({error.sent.code} {printable(error.sent.reason)})"
    return "the connection broke"
