"""Connections that nobody serves."""

from __future__ import annotations

import asyncio

from atmosphere.tcp.hangup import HangUp


async def test_it_ends_at_once() -> None:
    server = await asyncio.get_running_loop().create_server(HangUp, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
