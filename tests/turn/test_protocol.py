"""atmosphere.turn.protocol: what it adds to aioice's client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.stun.message import Class, Message, Method, encode
from atmosphere.turn import protocol
from atmosphere.turn.protocol import MAX_WRITE_BUFFER, StreamTurnProtocol, UdpTurnProtocol

SERVER = ("192.0.2.1", 3478)
PEER = ("192.0.2.2", 1000)


class Owner:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.bursts = 0

    def channel_data(self, number: int, payload: bytes) -> None:
        self.told.append((number, payload))

    def channel_burst(self, number: int, data: bytes, segment: int) -> None:
        self.bursts += 1
        self.told += [(number, data[place : place + segment]) for place in range(0, len(data), segment)]

    def indication(self, source: tuple[str, int], payload: bytes) -> None:
        self.told.append((source, payload))

    def trouble(self, error: Exception) -> None:
        self.told.append(error)

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append("lost")


class Pipe(asyncio.Transport):
    """A connection that keeps what is written."""

    def __init__(self, waiting: int = 0) -> None:
        super().__init__()
        self.written = b""
        self.waiting = waiting
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True


def stream(owner: Owner, waiting: int = 0) -> tuple[StreamTurnProtocol, Pipe]:
    made = StreamTurnProtocol(owner, SERVER, "user", "password", None)
    pipe = Pipe(waiting)
    made.connection_made(pipe)
    return made, pipe


def test_messages_in_a_stream() -> None:
    owner = Owner()
    made, _ = stream(owner)
    indication = Message(Method.DATA, Class.INDICATION, attributes={"XOR-PEER-ADDRESS": PEER, "DATA": b"abc"})
    data = b"\x40\x00\x00\x03abc\0" + encode(indication)
    for index in range(len(data)):
        made.data_received(data[index : index + 1])
    assert owner.told == [(0x4000, b"abc"), (PEER, b"abc")]


def test_a_stream_that_makes_no_sense_is_aborted() -> None:
    made, pipe = stream(Owner())
    made.data_received(b"\xff" * 10)
    assert pipe.aborted


def test_a_full_connection_drops() -> None:
    made, pipe = stream(Owner(), waiting=MAX_WRITE_BUFFER + 1)
    assert not made.put(b"\x40\x00\x00\x01x")
    assert pipe.written == b""


def test_frames_are_padded_in_a_stream() -> None:
    made, pipe = stream(Owner())
    assert made.put(b"\x40\x00\x00\x01x")
    assert pipe.written == b"\x40\x00\x00\x01x\0\0\0"
    pipe.close()
    assert made.put(b"\x40\x00\x00\x01x")
    assert len(pipe.written) == 8


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b"\x00\x17\x00" + tail))
def test_any_datagram_is_survived(data: bytes) -> None:
    UdpTurnProtocol(Owner(), SERVER, None, None, None).datagram_received(data, SERVER)


def test_an_indication_without_its_parts_is_nothing() -> None:
    owner = Owner()
    made = UdpTurnProtocol(owner, SERVER, None, None, None)
    made.datagram_received(encode(Message(Method.DATA, Class.INDICATION, attributes={"DATA": b"x"})), SERVER)
    made.datagram_received(encode(Message(Method.ALLOCATE, Class.RESPONSE)), SERVER)
    made.datagram_received("text", SERVER)
    assert owner.told == []
    made.error_received(OSError("unreachable"))
    made.connection_lost(None)
    assert owner.told[-1] == "lost"


async def test_a_lifetime_of_nothing_does_not_wind_up_the_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            enough.set()
            await asyncio.Event().wait()

    made, _ = stream(Owner())

    async def request_with_retry(request: Message) -> tuple[Message, tuple[str, int]]:
        return Message(Method.REFRESH, Class.RESPONSE, attributes={"LIFETIME": (0, 2**32 - 1)[len(slept) - 1]}), SERVER

    monkeypatch.setattr(made, "request_with_retry", request_with_retry)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.refresh(600))
        await asyncio.wait_for(enough.wait(), 5)
        task.cancel()
    assert slept == [500, 25, 3000]


async def test_a_refresh_without_a_lifetime_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    made, pipe = stream(Owner())

    async def request_with_retry(request: Message) -> tuple[Message, tuple[str, int]]:
        return Message(Method.REFRESH, Class.RESPONSE), SERVER

    monkeypatch.setattr(made, "request_with_retry", request_with_retry)
    monkeypatch.setattr(protocol, "SHORTEST_LIFETIME", 0)
    await made.refresh(0)
    assert pipe.aborted


def framed(number: int, payload: bytes) -> bytes:
    return number.to_bytes(2) + len(payload).to_bytes(2) + payload


@given(
    st.lists(st.tuples(st.integers(0x4000, 0x4001), st.binary(max_size=40)), min_size=1, max_size=6),
    st.integers(1, 60),
    st.binary(max_size=100),
)
def test_a_burst_is_what_its_datagrams_are(frames: list[tuple[int, bytes]], segment: int, noise: bytes) -> None:
    """Whatever comes in whatever segments: together or one by one, the owner is told the same."""
    for data in (b"".join(framed(*frame) for frame in frames), noise):
        together, alone = Owner(), Owner()
        UdpTurnProtocol(together, SERVER, None, None, None).burst_received(data, segment)
        one_by_one = UdpTurnProtocol(alone, SERVER, None, None, None)
        for place in range(0, len(data), segment):
            one_by_one.datagram_received(data[place : place + segment], SERVER)
        assert together.told == alone.told


@pytest.mark.parametrize("last", [100, 7])
def test_data_of_one_channel_stays_together(last: int) -> None:
    owner, payloads = Owner(), [bytes([place]) * 100 for place in range(5)] + [b"!" * last]
    UdpTurnProtocol(owner, SERVER, None, None, None).burst_received(b"".join(framed(0x4001, p) for p in payloads), 104)
    assert owner.bursts == 1 and owner.told == [(0x4001, payload) for payload in payloads]


def test_a_burst_over_asyncios_transport_is_sent_one_by_one() -> None:
    """As it is where a connected socket cannot name its destination."""
    sent: list[bytes] = []

    class Datagrams(asyncio.DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            sent.append(bytes(data))

        def is_closing(self) -> bool:
            return False

    made = UdpTurnProtocol(Owner(), SERVER, None, None, None)
    made.connection_made(Datagrams())
    assert made.put_burst(0x4000, b"aabbc", 2, 3) == 3
    assert sent == [framed(0x4000, payload) for payload in (b"aa", b"bb", b"c")]
    made.when_writable(lambda: None)
