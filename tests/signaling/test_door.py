from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from signaling import Settings, door
from signaling.cluster.wire import Used
from signaling.metrics import Metrics
from tests.signaling.tools import get, node, raw, serving, until


async def test_connections_of_an_address_are_limited() -> None:
    async with serving(Settings(max_connections_per_address=2)) as server, node(server), node(server) as last:
        with pytest.raises(InvalidStatus, match="HTTP 429"):
            async with raw(server):
                pass
        await last.websocket.close()
        await until(lambda: server.stats()["connections"] == 1)
        async with node(server):
            pass


async def test_connections_in_all_are_limited() -> None:
    async with serving(Settings(max_connections=1)) as server, node(server):
        with pytest.raises(InvalidStatus, match="HTTP 503"):
            async with raw(server):
                pass


async def test_a_flood_of_refused_connections_is_cut_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SPARE_SEATS", 1)
    async with serving(Settings(max_connections=1)) as server:
        opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        for _, each in (*opened, (reader, writer)):
            each.close()
        await until(lambda: server.stats()["connections"] == 0)


async def test_requests_of_an_address_are_limited() -> None:
    async with serving(Settings(handshakes_per_address=0.001, handshakes_per_address_burst=1)) as server:
        assert (await get(server, "/health"))[0] == 200
        assert (await get(server, "/health"))[0] == 429
        assert server.stats()["tracked_addresses"] == 1


async def test_handshakes_in_all_are_limited() -> None:
    async with serving(Settings(handshakes=0.001, handshakes_burst=1)) as server, node(server):
        with pytest.raises(InvalidStatus, match="HTTP 503"):
            async with raw(server):
                pass
        assert (await get(server, "/health"))[0] == 200


def test_rates_are_shared_with_other_instances() -> None:
    settings = Settings(messages_per_address=0.001, messages_per_address_burst=2)
    here, there = (door.ServerDoor(settings, Metrics(), 0.0) for _ in range(2))
    here.share()
    there.share()
    assert here.take_used() == []
    assert here.may_message("192.0.2.1", 0.0)
    assert here.may_message("192.0.2.1", 0.0)
    [used] = here.take_used()
    assert used == Used("messages", {"192.0.2.1": 2.0})
    there.used_elsewhere(used, 0.0)
    there.used_elsewhere(Used("unheard of", {"192.0.2.1": 2.0}), 0.0)
    assert not there.may_message("192.0.2.1", 0.0)
    assert there.may_message("192.0.2.2", 0.0)
