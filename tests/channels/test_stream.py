from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from atmosphere.channels.link import Link
from atmosphere.channels.stream import CHUNK, LINE_LIMIT, MAX_UNDRAINED, Stream
from atmosphere.errors import LinkError, StreamReset
from tests.channels.pipe import Weather, two_links, within


async def opened(client: Link, server: Link, name: str = "s") -> tuple[Stream, Stream]:
    arrived: asyncio.Queue[Stream] = asyncio.Queue()
    server.on_stream = arrived.put_nowait
    stream = await client.open_stream(name)
    return stream, await asyncio.wait_for(arrived.get(), 5)


@asynccontextmanager
async def two_ends(weather: Weather | None = None, *, plain: bool = False) -> AsyncIterator[tuple[Stream, Stream]]:
    async with two_links(weather, plain=plain) as (client, server):
        yield await opened(client, server)


@pytest.mark.parametrize("plain", [False, True])
async def test_bytes_both_ways_and_half_close(plain: bool) -> None:
    async with two_ends(plain=plain) as (one, other):
        assert one.name == other.name == "s"
        one.writer.write(b"a question\nand more")
        await one.write_eof()
        assert await other.reader.readline() == b"a question\n"
        assert await other.read() == b"and more"
        assert other.at_eof()
        other.writelines([b"an ", b"answer"])
        await other.drain()
        await other.close()
        assert await one.readexactly(9) == b"an answer"
        assert await one.read(5) == b""
        assert await one.readline() == b""
        await one.close()
        await within(lambda: one.closed and other.closed)


async def test_reads_in_all_shapes() -> None:
    async with two_ends() as (one, other):
        one.write(b"12345")
        one.write(bytearray(b"67890"))
        one.write(memoryview(b"line 1\nline 2\nrest"))
        await one.write_eof()
        assert await other.read(0) == b""
        assert await other.read(2) == b"12"
        assert await other.readexactly(8) == b"34567890"
        assert await other.readuntil(b"e ") == b"line "
        assert [line async for line in other] == [b"1\n", b"line 2\n", b"rest"]
        with pytest.raises(asyncio.IncompleteReadError):
            await other.readexactly(1)


async def test_lines_have_a_limit() -> None:
    async with two_ends() as (one, other):
        one.write(b"x" * (LINE_LIMIT + CHUNK * 2) + b"\n")
        with pytest.raises(ValueError, match="line"):
            await other.readline()
        await other.readexactly(LINE_LIMIT + CHUNK * 2 + 1)
        one.write(b"12345\n")
        with pytest.raises(asyncio.LimitOverrunError):
            await other.readuntil(b"\n", limit=3)


async def test_a_reader_that_sleeps_stops_its_writer_and_nobody_else() -> None:
    total = 8 * 1024 * 1024
    async with two_links() as (client, server):
        one, other = await opened(client, server, "bulk")
        echo, echoing = await opened(client, server, "echo")
        written = 0

        async def write() -> None:
            nonlocal written
            for _ in range(total // 65536):
                one.write(b"y" * 65536)
                await one.drain()
                written += 65536
            await one.close()

        writing = asyncio.create_task(write())
        for _ in range(200):
            echo.write(b"ping\n")
            echoing.write(await asyncio.wait_for(echoing.readline(), 5))
            assert await asyncio.wait_for(echo.readline(), 5) == b"ping\n"
        assert written <= 1024 * 1024
        assert len(other._incoming) + other._channel._inbox_bytes <= 256 * 1024
        async with asyncio.timeout(60):
            received = await other.read()
            await writing
        assert received == b"y" * total


async def test_many_streams_at_once_arrive_whole() -> None:
    async with two_links(Weather(loss=0.005, seed=3)) as (client, server):

        async def serve(stream: Stream) -> None:
            async with stream:
                stream.write(await stream.read())

        handlers: list[asyncio.Task[None]] = []
        server.on_stream = lambda stream: handlers.append(asyncio.create_task(serve(stream)))

        async def ask(index: int) -> None:
            data = bytes([index]) * (index * 4000)
            async with await client.open_stream(str(index)) as stream:
                stream.write(data)
                await stream.write_eof()
                assert await stream.read() == data

        async with asyncio.timeout(60):
            await asyncio.gather(*(ask(index) for index in range(20)))
            await asyncio.gather(*handlers)
        await within(lambda: len(client._channels) == len(server._channels) == 1)
        assert client._streams == server._streams == {}


async def test_a_saturating_stream_does_not_starve_another() -> None:
    async with two_links() as (client, server):
        one, other = await opened(client, server, "bulk")
        echo, echoing = await opened(client, server, "echo")

        async def pump() -> None:
            while True:
                one.write(b"y" * 65536)
                await one.drain()

        async def drink() -> None:
            while True:
                await other.read(65536)

        tasks = [asyncio.create_task(pump()), asyncio.create_task(drink())]
        async with asyncio.timeout(10):
            for _ in range(20):
                echo.write(b"x")
                await echoing.readexactly(1)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_reset_is_seen_by_the_peer_after_what_had_arrived() -> None:
    async with two_ends() as (one, other):
        one.write(b"delivered")
        await asyncio.sleep(0)
        await within(lambda: other._channel._inbox)
        one.reset("changed my mind")
        with pytest.raises(StreamReset):
            one.write(b"x")
        with pytest.raises(StreamReset):
            await one.read()
        await one.close()
        assert await other.read(100) == b"delivered"
        with pytest.raises(StreamReset, match="changed my mind"):
            await other.read(100)
        with pytest.raises(StreamReset):
            await other.drain()


async def test_reset_without_words_in_plain_mode() -> None:
    async with two_ends(plain=True) as (one, other):
        one.reset()
        with pytest.raises(StreamReset, match="ended by the peer"):
            await asyncio.wait_for(other.read(), 5)


async def test_a_body_that_raises_resets_its_stream() -> None:
    async with two_ends() as (one, other):
        with pytest.raises(KeyError):
            async with one:
                raise KeyError("x")
        with pytest.raises(StreamReset, match="KeyError"):
            await other.read()


async def test_a_closed_reader_tells_the_writer_and_keeps_its_own_words() -> None:
    async with two_ends() as (one, other):
        other.write(b"goodbye")
        await other.close()

        async def write() -> None:
            while True:
                one.write(b"x" * 65536)
                await one.drain()

        with pytest.raises(StreamReset, match="reads no more"):
            await asyncio.wait_for(write(), 5)
        with pytest.raises(StreamReset):
            one.write(b"x")
        assert await one.read() == b"goodbye"
        await one.close()
        await within(lambda: other._channel.end_reason)
        assert await other.read(1) == b""


async def test_nothing_is_read_after_close() -> None:
    async with two_ends() as (one, other):
        one.write(b"x")
        await other.close()
        with pytest.raises(StreamReset, match="closed here"):
            await other.read(1)


async def test_a_link_that_ends_is_seen_after_what_had_arrived() -> None:
    async with two_links() as (client, server):
        one, other = await opened(client, server)
        one.write(b"delivered")
        await within(lambda: other._channel._inbox)
        client.abort("power cut")
        assert await asyncio.wait_for(other.read(100), 5) == b"delivered"
        with pytest.raises(LinkError, match="power cut"):
            await asyncio.wait_for(other.read(100), 5)
        with pytest.raises(LinkError, match="power cut"):
            await other.drain()
        with pytest.raises(LinkError):
            other.write(b"x")
        await other.close()


async def test_writing_without_drain_has_a_bound() -> None:
    async with two_ends() as (one, other):
        one.write(bytes(MAX_UNDRAINED + 400_000))
        with pytest.raises(BufferError):
            one.write(b"x")
        one.reset()
        await within(lambda: other.closed)


async def test_nothing_is_written_after_the_end() -> None:
    async with two_ends() as (one, _other):
        await one.write_eof()
        with pytest.raises(StreamReset, match="ended here"):
            one.write(b"x")
        assert "open" in repr(one)


async def test_a_message_that_is_none_resets_the_stream() -> None:
    async with two_links() as (client, server):
        one, other = await opened(client, server)
        client._association.send(one.id, "text")
        with pytest.raises(StreamReset):
            await asyncio.wait_for(other.read(), 5)
        with pytest.raises(StreamReset):
            await asyncio.wait_for(one.read(), 5)


async def test_the_last_bytes_of_a_closed_stream_arrive_over_a_bad_path() -> None:
    async with two_ends(Weather(loss=0.1, reorder=0.1, repeat=0.1, seed=11)) as (one, other):
        one.write(b"z" * 300_000)
        closing = asyncio.create_task(one.close())
        async with asyncio.timeout(30):
            assert await other.read() == b"z" * 300_000
            await closing
            await other.close()
            await within(lambda: one._channel.end_reason and other._channel.end_reason, 20)
