"""TURN over WebSocket: frames in and out, and frames that are none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from atmosphere.turn.server.clients import StreamClients, StreamLimits
from atmosphere.turn.server.websocket import MAX_FRAME, frames, turn_route
from atmosphere.turn.stream import pad, split
from signaling import SignalingServer
from tests.turn.server.stream_service import ANSWER, BINDING, CHANNEL_DATA, FakeService
from tests.until import until


class Server:
    def __init__(self, limits: StreamLimits | None) -> None:
        self.service = FakeService()
        self.clients = StreamClients(self.service, limits)
        self.signaling = SignalingServer(routes=[turn_route(self.clients)])

    def connected(self, subprotocol: str = "turn") -> connect:
        url = f"ws://127.0.0.1:{self.signaling.port}/turn"
        return connect(url, proxy=None, subprotocols=[Subprotocol(subprotocol)], max_size=MAX_FRAME)


@contextlib.asynccontextmanager
async def serving(limits: StreamLimits | None = None) -> AsyncIterator[Server]:
    server = Server(limits)
    await server.signaling.start("127.0.0.1", 0)
    server.clients.start()
    yield server
    server.clients.stop()
    await server.signaling.stop()
    assert len(server.clients) == 0


async def test_a_burst_is_a_frame() -> None:
    async with serving() as server, server.connected() as websocket:
        assert websocket.subprotocol == "turn"
        await websocket.send(BINDING + CHANNEL_DATA + bytes(3))
        await until(lambda: len(server.service.received) == 2)
        [flow] = server.service.flows
        assert flow.transport == "ws"
        assert flow.client[0] == flow.local[0] == "127.0.0.1"
        flow.write([CHANNEL_DATA, CHANNEL_DATA, ANSWER])
        assert await websocket.recv() == (CHANNEL_DATA + bytes(3)) * 2 + ANSWER
        await websocket.close()
        await until(lambda: server.service.closed == [flow])
        flow.write([ANSWER])  # too late, and no matter


async def closed(websocket: ClientConnection) -> int | None:
    async with asyncio.timeout(10):
        await websocket.wait_closed()
    return websocket.close_code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("text", 1003),
        (b"GET / HTTP/1.1\r\n", 1007),
        (BINDING[:-1], 1007),
        (CHANNEL_DATA, 1007),  # without its padding
        (BINDING + b"\x00", 1007),
        (bytes(MAX_FRAME + 1), 1009),
    ],
)
async def test_frames_that_are_none(frame: str | bytes, code: int) -> None:
    async with serving() as server, server.connected() as websocket:
        await websocket.send(frame)
        assert await closed(websocket) == code
        assert server.service.received == []
        await until(lambda: len(server.service.closed) == 1)


async def test_the_subprotocol_is_asked_for() -> None:
    async with serving() as server:
        with pytest.raises(InvalidStatus, match="HTTP 400"):
            async with server.connected("mqtt"):
                pass


async def test_one_too_many_is_told() -> None:
    async with serving(StreamLimits(connections=1)) as server, server.connected():
        await until(lambda: len(server.clients) == 1)
        async with server.connected() as second:
            assert await closed(second) == 1008
            assert second.close_reason == "too many connections"


async def test_without_an_allocation_it_ends() -> None:
    async with serving(StreamLimits(idle=0.05)) as server, server.connected() as websocket:
        assert await closed(websocket) == 1008
        assert websocket.close_reason == "no allocation"


SIZES = st.sampled_from((0, 1, 3, 4, 1200, 30_000, 65_535))


@given(st.lists(SIZES.map(lambda size: b"\x40\x00" + size.to_bytes(2) + bytes(size))))
def test_frames_hold_whole_messages_in_order(messages: list[bytes]) -> None:
    made = list(frames(messages))
    assert all(len(frame) <= MAX_FRAME for frame in made)
    assert [message for frame in made for message in split(frame)] == [pad(message) for message in messages]


def test_nothing_is_no_frame() -> None:
    assert list(frames([])) == []
