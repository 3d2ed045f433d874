"""Whether the server at the other end of a connection still lives: a ping now and then, and one when in doubt.

A process that dies closes its connections; a machine that freezes, or is unplugged, says nothing at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

LONGEST, SHORTEST = 15.0, 1.0
"""Bounds of the seconds between two pings, whatever the server asks for."""

PONG_TIMEOUT, BUSY_TIMEOUT = 2.0, 10.0
"""Seconds that an answer may take, unless the path was slower before. A server that slows us down because of all that
we asked reads our pings no sooner than the rest: then there is more time."""

MANY = 16
"""Unanswered requests that are reason enough to be slowed down."""


def is_stranded(websocket: ClientConnection) -> bool:
    """Whether the system would now reach the other end from another address than this connection's: it is dead then.

    Nothing is sent: connecting a UDP socket only asks the routing table. False where there is no way at all: that may
    be for a moment.
    """
    ours, theirs = websocket.local_address, websocket.remote_address
    if not ours or not theirs:
        return False
    try:
        with socket.socket(socket.AF_INET6 if ":" in theirs[0] else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((theirs[0], theirs[1]))
            return bool(sock.getsockname()[0] != ours[0])
    except OSError:
        return False


async def watch(
    websocket: ClientConnection, keepalive: float, doubt: asyncio.Event, unanswered: Callable[[], int]
) -> None:
    """Ping every `keepalive` seconds, and when there is `doubt`; cut the connection when no answer comes.

    `unanswered` says how many requests wait for an answer.
    """
    interval = min(max(keepalive, SHORTEST), LONGEST)
    with contextlib.suppress(ConnectionClosed):
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await doubt.wait()
            doubt.clear()
            timeout = PONG_TIMEOUT if unanswered() < MANY else BUSY_TIMEOUT
            if not await _answers(websocket, max(timeout, 4 * websocket.latency)):
                websocket.transport.abort()
                return


async def _answers(websocket: ClientConnection, timeout: float) -> bool:
    pong = await websocket.ping()
    try:
        async with asyncio.timeout(timeout):
            await pong
    except TimeoutError:
        return False
    return True
