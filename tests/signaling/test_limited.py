"""Every limit counts how often it said no."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from signaling import Settings
from signaling.cluster.nodes import ClusterNodes
from signaling.hub import Hub
from signaling.messages import Send, Subscribe, Watch
from signaling.metrics import LIMITED, Metrics
from tests.signaling.tools import PATIENCE, node, raw, serving, until

ANN, BOB, CID = ("a" * 52, "b" * 52, "c" * 52)


def limited(metrics: Metrics) -> dict[str, int]:
    """The limits that said no, and how often."""
    return {name: metrics[f"limited_{name}_total"] for name in LIMITED if metrics[f"limited_{name}_total"]}


def test_every_such_limit_is_a_setting() -> None:
    assert set(LIMITED) <= {name.removeprefix("limit_") for name in Settings().limits()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mailbox_messages", 1),
        ("mailbox_messages_per_sender", 1),
        ("mailbox_bytes", 5),
        ("mailboxes_bytes", 520),
    ],
)
def test_mailboxes(name: str, value: int) -> None:
    metrics = Metrics()
    hub = Hub(Settings(**{name: value}), metrics)  # type: ignore[arg-type]
    hub.connect(ANN, 0)
    for number in range(2):
        hub.receive(ANN, Send(BOB, "cGF5", str(number), number), 0)
    assert limited(metrics) == {name: 1}


@pytest.mark.parametrize(("name", "value"), [("in_flight_messages", 1), ("in_flight_bytes", 5)])
def test_messages_in_flight(name: str, value: int) -> None:
    metrics = Metrics()
    settings = Settings(**{name: value})  # type: ignore[arg-type]
    nodes = ClusterNodes(settings, metrics, own="us", speak=lambda *_: None, dead_after=1.0)
    nodes.connect(ANN, 0)
    nodes.connect(BOB, 0, got=True)
    for number in range(2):
        nodes.receive(ANN, Send(BOB, "cGF5", str(number), number), 0)
    assert limited(metrics) == {name: 1}


def test_topics_and_watches() -> None:
    metrics = Metrics()
    hub = Hub(Settings(topics_per_connection=1, subscribers_per_topic=1, watched_per_connection=1), metrics)
    hub.connect(ANN, 0)
    hub.connect(BOB, 0)
    hub.receive(ANN, Subscribe("t", 1), 0)
    hub.receive(ANN, Subscribe("u", 2), 0)
    hub.receive(BOB, Subscribe("t", 3), 0)
    hub.receive(BOB, Watch([ANN, CID], 4), 0)
    assert limited(metrics) == {"topics_per_connection": 1, "subscribers_per_topic": 1, "watched_per_connection": 1}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("max_connections", Settings(max_connections=1)),
        ("max_connections_per_address", Settings(max_connections_per_address=1)),
        ("handshakes", Settings(handshakes=0.001, handshakes_burst=1)),
        ("handshakes_per_address", Settings(handshakes_per_address=0.001, handshakes_per_address_burst=1)),
    ],
)
async def test_those_who_come(name: str, settings: Settings) -> None:
    async with serving(settings) as server, node(server):
        with pytest.raises(InvalidStatus):
            async with raw(server):
                pass
        assert limited(server._metrics) == {name: 1}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("messages", Settings(messages=0.001, messages_burst=1)),
        ("messages_per_address", Settings(messages_per_address=0.001, messages_per_address_burst=1)),
        ("messages_per_connection", Settings(messages_per_connection=50, messages_per_connection_burst=1)),
    ],
)
async def test_those_who_talk(name: str, settings: Settings) -> None:
    async with serving(settings) as server, node(server) as ann:
        for ref in range(2):
            await ann.send(type="watch", ids=[], ref=ref)
            await ann.receive()
        assert limited(server._metrics) == {name: 1}


async def test_those_who_talk_nonsense_or_too_long() -> None:
    async with serving(Settings(malformed_per_connection=1)) as server:
        async with node(server) as ann:
            await ann.websocket.send("nonsense")
            assert (await ann.receive())["code"] == "malformed"
            assert await ann.closed() == 1008
        async with node(server) as bob:
            with pytest.raises(ConnectionClosed):
                await bob.websocket.send("x" * 20_000)
                await bob.receive()
            assert await bob.closed() == 1009
        await until(lambda: "max_message" in limited(server._metrics))
        assert limited(server._metrics) == {"malformed_per_connection": 1, "max_message": 1}


@pytest.mark.parametrize("lines", [2, 200])
async def test_those_whose_request_has_no_end(lines: int) -> None:
    """Whether it comes in one piece or line by line."""
    async with serving(Settings(max_head=4096)) as server, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        await until(lambda: len(server._reception.door.inside) == 1)
        [held] = server._reception.door.inside
        with contextlib.suppress(ConnectionError):
            for number in range(lines):
                writer.write(f"X-{number}: {'a' * (8000 // lines)}\r\n".encode())
                await writer.drain()
            writer.write(b"\r\n")
            assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert limited(server._metrics) == {"max_head": 1}
        assert held.request is None


async def test_what_follows_a_request_is_no_part_of_it() -> None:
    async with serving(Settings(max_head=1024)) as server, node(server) as ann:
        await ann.send(type="watch", ids=[ann.id] * 20, ref=1)
        assert (await ann.receive())["type"] != "error"
        assert limited(server._metrics) == {}


@pytest.mark.parametrize(("name", "in_all"), [("outgoing_bytes", 10**9), ("outgoing_bytes_in_all", 1000)])
async def test_those_who_do_not_read(name: str, in_all: int) -> None:
    settings = Settings(
        outgoing_bytes=100_000 if in_all > 10**6 else 10**9,
        outgoing_bytes_in_all=in_all,
        messages_per_connection=1e6,
        messages_per_connection_burst=1e6,
        messages_per_address_burst=1e6,
    )
    async with serving(settings) as server, node(server) as ann, node(server) as slow:
        slow.websocket.transport.pause_reading()
        number = 0
        while not limited(server._metrics):
            number += 1
            await ann.send(type="send", to=slow.id, payload="A" * 12_000, id=str(number), ref=number, ttl=0)
            await ann.receive()
        assert limited(server._metrics) == {name: 1}
