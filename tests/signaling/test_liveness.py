from __future__ import annotations

import asyncio
from typing import cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.protocol import State

from signaling import KeySigner, NotConnected, SignalingClient, client, connection, liveness
from signaling.liveness import watch
from tests.signaling.tools import PATIENCE, serving, until, url_of


async def test_pings_go_on_while_they_are_answered_and_end_with_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "SHORTEST", 0.02)
    async with serving() as server, connect(url_of(server), proxy=None, ping_interval=None) as websocket:
        watcher = asyncio.create_task(watch(websocket, 0.0, asyncio.Event(), int))
        await until(lambda: websocket.latency > 0)
        await websocket.close()
        await watcher


async def test_no_answer_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PONG_TIMEOUT", 0.1)
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT", 0.05)
    doubt = asyncio.Event()
    async with serving() as server, connect(url_of(server), proxy=None, ping_interval=None) as websocket:
        watcher = asyncio.create_task(watch(websocket, 60.0, doubt, int))
        await websocket.recv()
        [held] = server._reception.door.inside
        held.transport.pause_reading()  # as good as frozen
        doubt.set()
        await watcher
        async with asyncio.timeout(PATIENCE):
            await websocket.wait_closed()


class Connected:
    """A connection between two addresses."""

    def __init__(self, ours: object, theirs: object) -> None:
        self.local_address, self.remote_address = ours, theirs


@pytest.mark.parametrize(
    ("ours", "theirs", "stranded"),
    [
        (("127.0.0.1", 1), ("127.0.0.1", 2), False),
        (("127.0.0.9", 1), ("127.0.0.1", 2), True),
        (("::1", 1, 0, 0), ("::1", 2, 0, 0), False),
        (("127.0.0.1", 1), ("255.255.255.255", 2), False),
        (None, None, False),
        (("127.0.0.1", 1), None, False),
    ],
)
def test_a_connection_from_where_we_no_longer_are(ours: object, theirs: object, stranded: bool) -> None:
    assert liveness.is_stranded(cast("ClientConnection", Connected(ours, theirs))) is stranded


async def test_a_client_that_moved_does_not_wait_for_a_pong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PONG_TIMEOUT", 3600.0)
    async with serving() as server, SignalingClient(url_of(server), KeySigner()) as ann:
        await ann.wait_connected(PATIENCE)
        states: list[str] = []
        ann.on_state = states.append
        monkeypatch.setattr(client, "is_stranded", lambda websocket: True)
        ann.hurry()
        await until(lambda: states[-1:] == ["connected"])
        assert states == ["waiting", "connecting", "connected"]


async def test_a_request_without_an_answer_makes_a_client_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PONG_TIMEOUT", 0.1)
    monkeypatch.setattr(client, "DOUBT", 0.1)
    async with serving() as server, SignalingClient(url_of(server), KeySigner()) as ann:
        await ann.wait_connected(PATIENCE)
        [held] = server._reception.door.inside
        held.transport.pause_reading()
        states: list[str] = []
        ann.on_state = states.append
        with pytest.raises(NotConnected):
            await ann.subscribe("t", timeout=0.3)
        await until(lambda: "connected" in states)  # in a connection that works
        await ann.subscribe("t")


async def test_a_server_that_was_asked_much_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PONG_TIMEOUT", 0.0)
    monkeypatch.setattr(liveness, "SHORTEST", 0.02)
    async with serving() as server, connect(url_of(server), proxy=None, ping_interval=None) as websocket:
        watcher = asyncio.create_task(watch(websocket, 0.0, asyncio.Event(), lambda: liveness.MANY))
        await until(lambda: websocket.latency > 0)
        watcher.cancel()
        assert websocket.protocol.state is State.OPEN
