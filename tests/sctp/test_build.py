from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atmosphere.sctp import chunks, packet
from atmosphere.sctp.build import Builder, Burst
from atmosphere.sctp.flight import Batch
from atmosphere.sctp.interleaved import InterleavedReassembly
from atmosphere.sctp.ordering import Message
from atmosphere.sctp.outgoing import Outgoing, OutgoingQueue
from atmosphere.sctp.reassembly import DataReassembly
from atmosphere.sctp.received import MODULO, unwrap

TAG = 77


def packets_of(bursts: list[Burst]) -> list[bytes]:
    return [data[start : start + segment] for data, segment in bursts for start in range(0, len(data), segment)]


def build_all(
    queue: OutgoingQueue, first: int, *, interleaved: bool, zero_checksum: bool = True, most: int = 1000
) -> tuple[list[bytes], list[Batch]]:
    builder = Builder(TAG, interleaved=interleaved, zero_checksum=zero_checksum)
    made: list[bytes] = []
    batches: list[Batch] = []
    while queue:
        bursts, more = builder.build(queue, first, min(builder.most, most), 0.0)
        assert bursts
        for data, segment in bursts:
            assert segment <= builder.mtu and -(-len(data) // segment) <= builder.most
        made += packets_of(bursts)
        batches += more
        first = batches[-1].first + batches[-1].count
    return made, batches


def read(made: list[bytes], first: int, *, interleaved: bool, zero_checksum: bool = True) -> list[Message]:
    """What a receiver makes of packets that come in their order."""
    reassembly = InterleavedReassembly() if interleaved else DataReassembly()
    got: list[Message] = []
    expected = first
    for one in made:
        assert packet.tag_of(one, zero_checksum=zero_checksum) == TAG
        for kind, flags, value in chunks.decode_all(one, packet.HEADER):
            assert kind == (chunks.I_DATA if interleaved else chunks.DATA)
            tsn = unwrap(int.from_bytes(value[:4]), expected)
            assert tsn == expected
            got += reassembly.add(tsn, flags, value)
            expected += 1
    assert reassembly.held == 0
    return got


@pytest.mark.parametrize("interleaved", [False, True])
@settings(max_examples=60)
@given(
    sizes=st.lists(st.one_of(st.integers(1, 50), st.integers(1000, 3000), st.integers(60_000, 70_000)), max_size=8),
    first=st.sampled_from([5, MODULO - 30]),
    streams=st.integers(1, 3),
    most=st.integers(1, 64),
)
def test_messages_come_out_as_they_went_in(
    interleaved: bool, sizes: list[int], first: int, streams: int, most: int
) -> None:
    queue = OutgoingQueue()
    queue.interleaved = interleaved
    wanted = [Message(place % streams, 53, bytes([place]) * size) for place, size in enumerate(sizes)]
    for stream, protocol, data in wanted:
        queue.push(Outgoing(stream, protocol, data))
    made, batches = build_all(queue, first, interleaved=interleaved, most=most)
    assert sorted(read(made, first, interleaved=interleaved)) == sorted(wanted)
    written = [chunk for one in made for chunk in chunks.decode_all(one, packet.HEADER)]
    again = [batch.chunk(tsn) for batch in batches for tsn in range(batch.first, batch.first + batch.count)]
    assert [chunks.decode_all(chunk)[0] for chunk in again] == written
    assert all(len(batch.chunk(batch.first)) == batch.size for batch in batches)


def test_a_checksum_is_right_where_one_is_wanted() -> None:
    queue = OutgoingQueue()
    queue.push(Outgoing(1, 53, bytes(10_000)))
    made, _ = build_all(queue, 1, interleaved=True, zero_checksum=False)
    assert read(made, 1, interleaved=True, zero_checksum=False) == [Message(1, 53, bytes(10_000))]


def test_all_packets_but_the_last_are_full() -> None:
    queue = OutgoingQueue()
    for _ in range(3):
        queue.push(Outgoing(1, 53, bytes(65_536)))
    builder = Builder(TAG, interleaved=True, zero_checksum=True)
    ((data, segment),), _ = builder.build(queue, 1, builder.most, 0.0)
    assert segment == packet.MTU and len(data) == builder.most * packet.MTU


def test_other_chunks_go_first() -> None:
    queue = OutgoingQueue()
    queue.push(Outgoing(1, 53, b"small"))
    builder = Builder(TAG, interleaved=True, zero_checksum=True)
    sack = chunks.Sack(1, 2).encode()
    ((data, segment),), _ = builder.build(queue, 1, 3, 0.0, sack)
    assert segment == len(data)
    assert [kind for kind, _, _ in chunks.decode_all(data, packet.HEADER)] == [chunks.SACK, chunks.I_DATA]
    ((data, _),) = builder.bundle([sack] * 100)
    assert len(packets_of([(data, packet.MTU)])) == 2


def test_a_small_message_is_not_cut_to_fill_a_packet() -> None:
    queue = OutgoingQueue()
    for _ in range(3):
        queue.push(Outgoing(1, 53, bytes(800)))
    made, batches = build_all(queue, 1, interleaved=True)
    assert len(made) == len(batches) == 3
