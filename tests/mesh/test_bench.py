"""Measurements over a pair of streams in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import AtmosphereError, DecodeError, StreamReset
from atmosphere.mesh import bench
from atmosphere.tasks import Tasks


class MemoryStream:
    """One end of a stream; asyncio's own reader buffers, `drain` waits while the other end is far behind."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader(limit=1 << 20)
        self.other: MemoryStream
        self.taken = asyncio.Event()
        self.closed = False

    async def read(self, n: int = -1) -> bytes:
        data = await self.reader.read(n)
        self.taken.set()
        return data

    async def readline(self) -> bytes:
        return await self.reader.readline()

    def write(self, data: bytes) -> None:
        self.other.reader.feed_data(data)

    async def drain(self) -> None:
        self.other.taken.clear()
        await asyncio.sleep(0)

    async def write_eof(self) -> None:
        self.other.reader.feed_eof()

    async def close(self) -> None:
        self.closed = True


class MemoryPeer:
    """Hands the other end of each stream to `handler`."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self.opened: list[MemoryStream] = []
        self.handler = bench.serve

    async def open_stream(self, name: str) -> MemoryStream:
        assert name == bench.STREAM
        near, far = MemoryStream(), MemoryStream()
        near.other, far.other = far, near
        self.opened += [near, far]
        self._tasks.spawn(self.handler(far), "far")
        return near


@pytest.fixture
async def peer() -> AsyncIterator[MemoryPeer]:
    tasks = Tasks("test")
    yield MemoryPeer(tasks)
    await tasks.close()


@pytest.mark.parametrize("reverse", [False, True])
async def test_measure(peer: MemoryPeer, reverse: bool) -> None:
    measured = await asyncio.wait_for(bench.measure(peer, seconds=0.1, reverse=reverse, streams=2), 10)
    assert measured.bytes > 0
    assert measured.bytes % len(bench.BLOCK) == 0
    assert measured.seconds >= 0.1
    assert measured.mb_per_s == pytest.approx(measured.bytes / 1e6 / measured.seconds)
    assert len(peer.opened) == 4
    assert all(stream.closed for stream in peer.opened if stream.other.closed)


async def test_progress(peer: MemoryPeer) -> None:
    told: list[dict[str, float]] = []
    await asyncio.wait_for(bench.measure(peer, seconds=0.5, progress=told.append), 10)
    assert told
    assert told[-1]["bytes"] > 0


async def test_a_peer_that_does_not_take_part(peer: MemoryPeer) -> None:
    async def refuse(stream: bench.BenchStream) -> None:
        await stream.write_eof()

    peer.handler = refuse
    with pytest.raises(AtmosphereError, match="does not take part"):
        await bench.measure(peer, seconds=0.01)


async def test_a_reset_is_raised_as_itself(peer: MemoryPeer) -> None:
    class Broken(MemoryPeer):
        async def open_stream(self, name: str) -> MemoryStream:
            raise StreamReset("gone")

    with pytest.raises(StreamReset):
        await bench.measure(Broken(Tasks("none")), seconds=0.01, streams=2)


@pytest.mark.parametrize("line", [b"", b"garbage\n", b'{"reverse":true,"seconds":1e9}\n'])
async def test_serve_survives_garbage(line: bytes) -> None:
    near, far = MemoryStream(), MemoryStream()
    near.other, far.other = far, near
    near.write(line)
    await near.write_eof()
    await asyncio.wait_for(bench.serve(far), 5)
    assert far.closed


@given(st.binary(max_size=80))
def test_decoders_are_total(line: bytes) -> None:
    for decode in (bench.decode_ask, bench.decode_count):
        try:
            decode(line)
        except DecodeError:
            continue


@given(st.booleans(), st.floats(0.01, 600))
def test_ask_round_trip(reverse: bool, seconds: float) -> None:
    assert bench.decode_ask(msgspec.json.encode(bench.Ask(reverse, seconds))) == bench.Ask(reverse, seconds)
