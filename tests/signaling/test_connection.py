from __future__ import annotations

import asyncio

import pytest

from signaling import KeySigner, connection
from signaling.messages import Done
from tests.signaling.tools import PATIENCE, node, serving, until


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


async def test_a_connection_that_is_gone_is_held_by_nothing() -> None:
    async with serving() as server:
        async with node(server) as ann:
            held = server._nodes[ann.id]
            held.end(1000, "done", within=60.0)
            assert held._ending is not None
            assert not held._ending.cancelled()
            assert await ann.closed() == 1000
        await until(lambda: server.stats()["connections"] == 0)
        assert held._ending.cancelled()


async def test_waiting_ends_with_the_connection() -> None:
    async with serving() as server:
        async with node(server) as ann:
            held = server._nodes[ann.id]
            assert await held.lasts(0.0)
            waiting = asyncio.ensure_future(held.lasts(3600.0))
        async with asyncio.timeout(PATIENCE):
            assert not await waiting
