"""Whether the server at the other end of a connection still lives: a ping now and then, and one when in doubt.

A process that dies closes its connections; a machine that freezes, or is unplugged, says nothing at all.
"""

from __future__ import annotations

import asyncio
import contextlib

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

LONGEST, SHORTEST = 15.0, 1.0
"""Bounds of the seconds between two pings, whatever the server asks for."""

PONG_TIMEOUT = 2.0
"""Seconds that an answer may take, unless the path was slower before; a server that slows us down takes 1.3."""


async def watch(websocket: ClientConnection, keepalive: float, doubt: asyncio.Event) -> None:
    """Ping every `keepalive` seconds, and when there is `doubt`; cut the connection when no answer comes."""
    interval = min(max(keepalive, SHORTEST), LONGEST)
    with contextlib.suppress(ConnectionClosed):
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await doubt.wait()
            doubt.clear()
            if not await _answers(websocket):
                websocket.transport.abort()
                return


async def _answers(websocket: ClientConnection) -> bool:
    pong = await websocket.ping()
    try:
        async with asyncio.timeout(max(PONG_TIMEOUT, 4 * websocket.latency)):
            await pong
    except TimeoutError:
        return False
    return True
