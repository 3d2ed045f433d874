from __future__ import annotations

import asyncio

import pytest
from aiortc.rtcsctptransport import DataChunk, ForwardTsnChunk, InitAckChunk, InitChunk

from atmosphere.sctp.interface import ChannelOptions
from atmosphere.sctp.receiving import MAX_HELD, MAX_INBOUND_STREAMS, MAX_REPORTED_RANGES
from tests.sctp.wire import Side, carry, kinds, report, two_sides

MODULO = 2**32


def data(tsn: int, *, flags: int = 3, stream: int = 0, payload: bytes = b"x") -> DataChunk:
    chunk = DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.protocol, chunk.user_data = tsn % MODULO, stream, 53, payload
    return chunk


@pytest.mark.parametrize("first", [1, MODULO - 3])
async def test_order_repetition_and_ranges_across_the_wrap(first: int) -> None:
    one, other = await two_sides()
    other.transport._last_received_tsn = (first - 1) % MODULO
    for ahead in (0, 2, 3, 6, 6, 0):
        other.association.receive(one.forge(data(first + ahead)))
    sack = report(other.take()[-1])
    assert (sack.cumulative_tsn, sack.gaps) == (first, [(2, 3), (6, 6)])
    for ahead in (1, 4, 5):
        other.association.receive(one.forge(data(first + ahead)))
    await asyncio.sleep(0)
    sack = report(other.take()[-1])
    assert (sack.cumulative_tsn, sack.gaps) == ((first + 6) % MODULO, [])


async def test_a_report_fits_into_a_packet() -> None:
    one, other = await two_sides()
    tsn = other.transport._last_received_tsn
    for index in range(2, 1200, 2):
        other.association.receive(one.forge(data(tsn + index)))
    packet = other.take()[-1]
    assert len(packet) < 1150
    assert len(report(packet).gaps) == MAX_REPORTED_RANGES


async def test_tiny_chunks_ahead_are_bounded_and_room_comes_back() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions(ordered=True))
    await carry(one, other)
    tsn = other.transport._last_received_tsn
    for ahead in range(2, MAX_HELD + 500):
        other.association.receive(one.forge(data(tsn + ahead, flags=0, stream=handle)))
    held = len(other.transport._inbound_streams[handle].reassembly)
    assert held == MAX_HELD
    assert other.association.established


async def test_tiny_chunks_in_order_that_never_end_are_cut_off() -> None:
    one, other = await two_sides()
    tsn = other.transport._last_received_tsn
    for index in range(1, MAX_HELD + 2000):
        other.association.receive(one.forge(data(tsn + index, flags=2 if index == 1 else 0)))
    assert other.log.reason == "a message is too large"


async def test_a_forward_tsn_cannot_make_streams_without_end() -> None:
    one, other = await two_sides()
    for start in range(0, MAX_INBOUND_STREAMS * 2, 256):
        skip = ForwardTsnChunk()
        skip.cumulative_tsn = (other.transport._last_received_tsn + 1) % MODULO
        skip.streams = [(stream, 0) for stream in range(start, start + 256)]
        other.association.receive(one.forge(skip))
    assert len(other.transport._inbound_streams) <= MAX_INBOUND_STREAMS + 256


async def test_a_handshake_with_impossible_numbers_is_ignored() -> None:
    side = Side(client=False)
    side.association.start()
    side.take()
    for field in ("initiate_tag", "inbound_streams", "outbound_streams"):
        for kind, tag in ((InitChunk, 0), (InitAckChunk, side.transport._local_verification_tag)):
            chunk = kind()
            chunk.initiate_tag = chunk.inbound_streams = chunk.outbound_streams = 5
            setattr(chunk, field, 0)
            side.association.receive(side.forge(chunk, tag=tag))
    assert side.take() == []
    side.association.abort("done")


async def test_a_wrong_checksum_is_dropped() -> None:
    one, other = await two_sides()
    packet = bytearray(one.forge(data(other.transport._last_received_tsn + 1)))
    packet[-1] ^= 1
    other.association.receive(bytes(packet))
    assert kinds(other.take()) == []


async def test_packets_in_order_are_acknowledged_together() -> None:
    one, other = await two_sides()
    tsn = other.transport._last_received_tsn
    for index in range(1, 7):
        other.association.receive(one.forge(data(tsn + index)))
    assert kinds(other.out) == ["SackChunk"]
    await asyncio.sleep(0)
    assert [report(packet).cumulative_tsn for packet in other.take()] == [(tsn + 4) % MODULO, (tsn + 6) % MODULO]
    other.association.receive(one.forge(data(tsn + 7)))
    other.association.abort("enough")
    await asyncio.sleep(0)
    assert kinds(other.take()) == ["AbortChunk"]
