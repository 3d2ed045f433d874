from __future__ import annotations

import asyncio

import pytest

from signaling import KeySigner, connection
from signaling.messages import Done
from tests.signaling.tools import node, serving, until


async def test_an_end_that_is_not_answered_is_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT", 0.05)
    signer = KeySigner()
    async with serving() as server, node(server, signer) as old:
        old.websocket.transport.pause_reading()
        async with node(server, signer):
            await until(lambda: server.stats()["connections"] == 1)


async def test_a_connection_that_has_ended_takes_nothing_more() -> None:
    async with serving() as server, node(server) as ann:
        held = server._nodes[ann.id]
        held.end(1000, "done")
        held.end(1000, "done")
        held.tell(Done(1))
        held.ping_now(asyncio.get_running_loop().time())
        assert await ann.closed() == 1000
