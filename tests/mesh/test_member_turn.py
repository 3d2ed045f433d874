"""A node's TURN server over TCP and WebSocket, on its one port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from atmosphere.errors import AtmosphereError
from atmosphere.mesh.listeners import Listeners, NodeSettings, RelayQuota
from atmosphere.mesh.member_turn import MemberTurn, turn_settings
from atmosphere.mesh.relay_users import RelayUsers
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.uri import Transport
from tests.mesh.people import ALICE, BOB
from tests.signaling.tools import get

SETTINGS = NodeSettings(port=0, host=("127.0.0.1",), stun=(), relay_quota=RelayQuota(100, 3, 1e6))
MESH = bytes(20)
KEYS = {one.node_id: one.public_key for one in (ALICE, BOB)}
STREAMS = pytest.mark.parametrize("transport", ["tcp", "ws"])


@pytest.fixture
async def listeners() -> AsyncIterator[Listeners]:
    """alice's port, with her TURN server on it."""
    turn = MemberTurn(SETTINGS, RelayUsers(ALICE, lambda: MESH, KEYS.get))
    made = Listeners(SETTINGS, lambda node_id: node_id in KEYS, turn)
    await made.start()
    await turn.start()
    turn.service.move({"127.0.0.1": "127.0.0.1"}, {})
    yield made
    await turn.stop()
    await made.close()


def at(listeners: Listeners, transport: Transport) -> Allocation:
    password = RelayUsers(BOB, lambda: MESH, KEYS.get).own_password(ALICE.node_id)
    url = f"ws://127.0.0.1:{listeners.port}/turn" if transport == "ws" else ""
    return Allocation(TurnEndpoint(("127.0.0.1", listeners.port), transport, BOB.node_id, password, url=url))


def test_a_quota_for_each_and_for_all() -> None:
    settings = turn_settings(SETTINGS)
    assert (settings.allocations, settings.allocations_per_user, settings.bytes_per_second) == (100, 3, 1e6)
    assert settings.addresses == {}


@STREAMS
async def test_a_member_comes_over_a_connection(listeners: Listeners, transport: Transport) -> None:
    allocation = at(listeners, transport)
    await allocation.open()
    assert allocation.relayed[0] == "127.0.0.1"
    await allocation.close()
    assert listeners.server is not None


async def test_http_is_still_there(listeners: Listeners) -> None:
    assert listeners.server is not None
    status, *_ = await get(listeners.server, "/health")
    assert status == 200


@STREAMS
async def test_where_there_is_no_turn_server_nobody_gets_one(transport: Transport) -> None:
    listeners = Listeners(SETTINGS, lambda node_id: False)
    await listeners.start()
    with pytest.raises(AtmosphereError):
        await at(listeners, transport).open(2.0)
    await listeners.close()
