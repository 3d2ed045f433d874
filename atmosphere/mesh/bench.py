"""Throughput between two members: the asker opens streams, one side writes for a while, the other counts.

On each stream the asker first sends one line of JSON (`Ask`). Forward, it then writes until its time is up and ends
its half; the other side answers with one line (`Count`). In reverse the other side writes and ends its half, and the
asker counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from atmosphere.errors import AtmosphereError, DecodeError, LinkError, Unreachable

logger = logging.getLogger(__name__)

STREAM = "atmosphere.bench"
MAX_SECONDS = 600.0
BLOCK = bytes(64 * 1024)
GRACE = 30.0
"""Seconds after the end of the writing in which what is in flight must have arrived."""


class Ask(msgspec.Struct):
    """What the asker wants of one stream: who writes, and for how many seconds."""

    reverse: bool
    seconds: Annotated[float, Meta(gt=0, le=MAX_SECONDS)]


class Count(msgspec.Struct):
    """How much the other side received."""

    bytes: int


class BenchStream(Protocol):
    """What is used of a stream."""

    async def read(self, n: int = -1) -> bytes: ...  # noqa: D102
    async def readline(self) -> bytes: ...  # noqa: D102
    def write(self, data: bytes) -> None: ...  # noqa: D102
    async def drain(self) -> None: ...  # noqa: D102
    async def write_eof(self) -> None: ...  # noqa: D102
    async def close(self) -> None: ...  # noqa: D102


class BenchPeer(Protocol):
    """What is used of a peer."""

    async def open_stream(self, name: str) -> Any:
        """A stream to the peer's handler of `name`."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement gave: bytes that arrived, in how many seconds."""

    bytes: int
    seconds: float

    @property
    def mb_per_s(self) -> float:
        """MB (10^6 bytes) a second."""
        return self.bytes / 1e6 / self.seconds if self.seconds else 0.0


_asks, _counts = msgspec.json.Decoder(Ask), msgspec.json.Decoder(Count)


def decode_ask(line: bytes) -> Ask:
    """The Ask in `line`; raises DecodeError."""
    return _decode(_asks, line)  # type: ignore[no-any-return]


def decode_count(line: bytes) -> Count:
    """The Count in `line`; raises DecodeError."""
    return _decode(_counts, line)  # type: ignore[no-any-return]


def _decode(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not a line of a measurement: {error}") from error


async def serve(stream: BenchStream) -> None:
    """Play the other side of one stream; for `node.on_stream(STREAM, serve)`."""
    try:
        async with asyncio.timeout(MAX_SECONDS + GRACE):
            ask = decode_ask(await stream.readline())
            if ask.reverse:
                await _write_for(stream, ask.seconds)
            else:
                received = await _count(stream, lambda _: None)
                stream.write(msgspec.json.encode(Count(received)) + b"\n")
                await stream.write_eof()
    except (DecodeError, LinkError, TimeoutError, ValueError) as error:
        logger.debug("a measurement ended early: %s", error)
    finally:
        await stream.close()


async def measure(
    peer: BenchPeer,
    *,
    seconds: float = 5.0,
    reverse: bool = False,
    streams: int = 1,
    progress: Callable[[dict[str, float]], None] = lambda _: None,
) -> Measured:
    """Bytes that reached the peer (or came from it, with `reverse`) over `streams` streams in about `seconds`.

    The clock runs until everything has arrived. `progress` gets {"bytes", "seconds"} a few times a second.
    Raises LinkError when the link ends, AtmosphereError when the peer does not take part.
    """
    meter = _Meter(progress)
    try:
        async with asyncio.timeout(seconds + GRACE), asyncio.TaskGroup() as group:
            tasks = [group.create_task(_one(peer, seconds, reverse, meter)) for _ in range(streams)]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    except TimeoutError as error:
        raise Unreachable("the measurement did not end in time") from error
    return Measured(sum(task.result() for task in tasks), meter.elapsed())


async def _one(peer: BenchPeer, seconds: float, reverse: bool, meter: _Meter) -> int:
    stream: BenchStream = await peer.open_stream(STREAM)
    try:
        stream.write(msgspec.json.encode(Ask(reverse, seconds)) + b"\n")
        await stream.drain()
        if reverse:
            return await _count(stream, meter.add)
        await _write_for(stream, seconds, meter)
        line = await stream.readline()
        if not line:
            raise AtmosphereError("the peer does not take part in measurements")
        return decode_count(line).bytes
    finally:
        await stream.close()


async def _write_for(stream: BenchStream, seconds: float, meter: _Meter | None = None) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stream.write(BLOCK)
        await stream.drain()
        if meter is not None:
            meter.add(len(BLOCK))
    await stream.write_eof()


async def _count(stream: BenchStream, add: Callable[[int], None]) -> int:
    total = 0
    while data := await stream.read(256 * 1024):
        total += len(data)
        add(len(data))
    return total


class _Meter:
    """Adds up all streams and reports at most five times a second."""

    def __init__(self, progress: Callable[[dict[str, float]], None]) -> None:
        self._progress = progress
        self._began = self._told = time.monotonic()
        self._bytes = 0

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def add(self, count: int) -> None:
        self._bytes += count
        now = time.monotonic()
        if now - self._told >= 0.2:
            self._told = now
            self._progress({"bytes": self._bytes, "seconds": now - self._began})
