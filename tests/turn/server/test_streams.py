"""TURN over TCP: messages out of a stream, and back into it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import pytest

from atmosphere.turn.server.clients import StreamClients, StreamLimits
from atmosphere.turn.server.streams import TurnStream
from tests.turn.server.stream_service import ANSWER, BINDING, CHANNEL_DATA, FakeService
from tests.until import until

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    def __init__(self, limits: StreamLimits) -> None:
        self.service = FakeService()
        self.clients = StreamClients(self.service, limits)
        self.port = 0

    def protocol(self) -> TurnStream:
        return TurnStream(self.clients, "tls", ("192.0.2.7", 4711), ("192.0.2.1", 3478))

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Ends]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        yield reader, writer
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(limits: StreamLimits | None = None) -> AsyncIterator[Server]:
    server = Server(limits or StreamLimits())
    listener = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    server.clients.stop()
    listener.close()
    await until(lambda: len(server.clients) == 0)


async def cut(reader: asyncio.StreamReader) -> bool:
    """Whether the server ends the connection."""
    async with asyncio.timeout(10):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


async def test_messages_go_in_and_out() -> None:
    async with serving() as server, server.connected() as (reader, writer):
        for byte in BINDING + CHANNEL_DATA + bytes(3):
            writer.write(bytes([byte]))
        await until(lambda: len(server.service.received) == 2)
        assert server.service.received == [BINDING, CHANNEL_DATA + bytes(3)]
        [flow] = server.service.flows
        assert (flow.transport, flow.client, flow.local) == ("tls", ("192.0.2.7", 4711), ("192.0.2.1", 3478))
        flow.write([CHANNEL_DATA, ANSWER])
        assert await reader.readexactly(32) == CHANNEL_DATA + bytes(3) + ANSWER
        writer.close()
        await until(lambda: server.service.closed == [flow])
        flow.write([ANSWER])  # too late, and no matter


@pytest.mark.parametrize("noise", [b"\x7fELF", b"\x00\x01\x00\x00nope", b"\x00\x01\x00\x01\x21\x12\xa4\x42"])
async def test_what_is_not_turn_is_cut(noise: bytes) -> None:
    async with serving() as server, server.connected() as (reader, writer):
        writer.write(BINDING + noise)
        assert await cut(reader)
        await until(lambda: len(server.service.closed) == 1)
        assert server.clients.stats()["turn_streams_malformed_total"] == 1


async def test_one_too_many_is_cut() -> None:
    async with serving(StreamLimits(connections=1)) as server, server.connected():
        await until(lambda: len(server.clients) == 1)
        async with server.connected() as (reader, writer):
            writer.write(BINDING)
            assert await cut(reader)
        assert len(server.clients) == 1
        assert server.service.received == []


async def test_a_reader_that_stops_costs_no_more_than_the_limit() -> None:
    async with serving(StreamLimits(write_buffer=10_000)) as server, server.connected() as (_, writer):
        cast("asyncio.Transport", writer.transport).pause_reading()
        await until(lambda: server.service.flows)
        [flow] = server.service.flows
        for _ in range(100_000):
            flow.write([b"\x40\x00\x04\x00" + bytes(1024)])
            if server.clients.stats()["turn_streams_dropped_total"] > 10:
                break
        [client] = server.clients._open
        assert 10_000 <= client._waiting() < 12_000
        for _ in range(100_000):
            flow.write([ANSWER])
            if flow in server.service.closed or server.clients.stats()["turn_streams_slow_cut_total"]:
                break
        await until(lambda: server.service.closed == [flow])


async def test_data_before_the_connection_is_nobody_s() -> None:
    TurnStream(StreamClients(FakeService()), "tcp", ("192.0.2.7", 1), ("192.0.2.1", 2)).data_received(BINDING)
