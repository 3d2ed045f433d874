from __future__ import annotations

import asyncio
import random

import pytest
from aiortc.rtcsctptransport import (
    AbortChunk,
    Chunk,
    CookieEchoChunk,
    DataChunk,
    ForwardTsnChunk,
    InitChunk,
    SackChunk,
    ShutdownChunk,
)

from atmosphere.sctp import dcep
from atmosphere.sctp.association import DCEP, LOW_MARK, MAX_PEER_CHANNELS, SctpAssociation, preload
from atmosphere.sctp.interface import MAX_MESSAGE, ChannelOptions
from atmosphere.sctp.receiving import MAX_AHEAD
from tests.sctp.wire import Side, carry, kinds, two_sides

MODULO = 2**32


async def test_channels_and_messages() -> None:
    one, other = await two_sides()
    options = ChannelOptions("é" * 300, "p", ordered=False)
    handle = one.association.open(options)
    for message in ("", b"", "text", b"bytes", "x" * 100_000):
        one.association.send(handle, message)
    await carry(one, other)
    assert other.log.opened == [(handle, options)]
    assert sorted(map(repr, other.log.messages)) == sorted(
        repr((handle, message)) for message in ("", b"", "text", b"bytes", "x" * 100_000)
    )
    assert one.log.acknowledged == [handle]
    other.association.send(handle, b"back")
    await carry(one, other)
    assert one.log.messages == [(handle, b"back")]
    assert not one.association.outstanding


async def test_ids_follow_the_role_and_are_not_used_again_soon() -> None:
    one, other = await two_sides()
    first, second = one.association.open(ChannelOptions()), other.association.open(ChannelOptions())
    assert (first, second) == (0, 1)
    await carry(one, other)
    one.association.close(first)
    await carry(one, other)
    assert one.log.closed_channels == other.log.closed_channels == [first]
    assert one.association.open(ChannelOptions()) == 2
    assert Side(client=True, first_id=3).association.open(ChannelOptions()) == 4
    assert Side(client=False, first_id=3).association.open(ChannelOptions()) == 3


async def test_impossible_requests() -> None:
    one, _ = await two_sides()
    handle = one.association.open(ChannelOptions())
    with pytest.raises(ValueError, match="taken"):
        one.association.open(ChannelOptions(), handle)
    with pytest.raises(ValueError, match="range"):
        one.association.open(ChannelOptions(), 65535)
    with pytest.raises(ValueError, match="too large"):
        one.association.send(handle, bytes(MAX_MESSAGE + 1))
    one.association.close(handle)
    for closed in (handle, 77):
        with pytest.raises(ValueError, match="closed"):
            one.association.send(closed, b"x")
        one.association.close(closed)
    one.association.abort("enough")
    with pytest.raises(ValueError, match="closed"):
        one.association.open(ChannelOptions())


async def test_what_is_queued_before_the_handshake_is_sent_after_it() -> None:
    one, other = Side(client=True), Side(client=False)
    handle = one.association.open(ChannelOptions("early"))
    one.association.send(handle, "hello")
    negotiated = one.association.open(ChannelOptions(), 7)
    one.association.send(negotiated, "too")
    closed = one.association.open(ChannelOptions("closed"))
    one.association.close(closed)
    one.association.start()
    one.association.start()
    other.association.start()
    await carry(one, other)
    assert other.log.messages == [(handle, "hello")]
    other.association.open(ChannelOptions(), 7)
    await carry(one, other)
    assert other.log.messages[1:] == [(7, "too")]
    assert one.log.established == other.log.established == 1


async def test_a_repeated_handshake_changes_nothing() -> None:
    one, other = Side(client=True), Side(client=False)
    one.association.start()
    other.association.start()
    handshake: list[tuple[Side, bytes]] = []
    for _ in range(6):
        for sender, receiver in ((one, other), (other, one)):
            for packet in sender.take():
                handshake.append((receiver, packet))
                receiver.association.receive(packet)
                receiver.association.receive(packet)
    handle = one.association.open(ChannelOptions())
    one.association.send(handle, b"before")
    await carry(one, other)
    for receiver, packet in handshake * 2:
        receiver.association.receive(packet)
    one.association.send(handle, b"after")
    await carry(one, other)
    other.association.send(handle, b"answer")
    await carry(one, other)
    assert [data for _, data in other.log.messages] == [b"before", b"after"]
    assert one.log.messages == [(handle, b"answer")]
    assert one.log.established == other.log.established == 1


async def test_an_init_repeated_before_the_cookie_ack_loses_no_data() -> None:
    one, other = Side(client=True), Side(client=False)
    other.association.start()
    (init,) = other.take()
    one.association.start()
    one.association.receive(init)
    await carry(one, other, lambda packet: kinds([packet]) == ["CookieAckChunk"])
    handle = other.association.open(ChannelOptions())
    other.association.send(handle, b"x")
    for packet in other.take():
        one.association.receive(packet)
    one.association.receive(init)
    other.association.send(handle, b"y")
    await carry(one, other)
    assert [data for _, data in one.log.messages] == [b"x", b"y"]


async def test_messages_come_in_fair_turns_and_low_marks_are_told() -> None:
    one, other = await two_sides()
    bulk, small = one.association.open(ChannelOptions("bulk")), one.association.open(ChannelOptions("small"))
    for _ in range(20):
        one.association.send(bulk, bytes(16_384))
    assert one.association.buffered(bulk) > LOW_MARK
    one.association.send(small, "me too")
    await carry(one, other)
    assert [handle for handle, _ in other.log.messages].index(small) < 5
    assert one.log.low == [bulk]
    assert one.association.queued == one.association.buffered(bulk) == one.association.buffered(99) == 0


async def test_limited_messages_may_be_lost_and_others_go_on() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions(ordered=False, max_retransmits=0))
    timed = one.association.open(ChannelOptions(max_lifetime_ms=1))
    await carry(one, other)
    one.association.send(handle, b"lost")
    one.association.send(timed, b"late")
    one.take()
    await asyncio.sleep(0.01)
    one.transport._t3_expired()
    one.association.send(handle, b"kept")
    await carry(one, other)
    one.transport._t3_expired()
    await carry(one, other)
    assert [data for _, data in other.log.messages] == [b"kept"]
    assert not one.association.outstanding


async def test_dcep_garbage_and_second_opens_do_no_harm() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions("first"))
    one.association.send(handle, b"x")
    for data in (dcep.encode_open(ChannelOptions("second")), dcep.ACK, b"\x03", b"\x07" * 20, b"\x03\0" + b"\xff" * 12):
        one.transport.transmit(handle, DCEP, data)
        one.transport.transmit(handle + 100, DCEP, data[:5])
    one.transport.transmit(50, DCEP, dcep.ACK)
    one.transport.transmit(handle, 99, b"unknown protocol")
    one.association.send(handle, b"y")
    await carry(one, other)
    assert [options.label for _, options in other.log.opened] == ["first"]
    assert [data for _, data in other.log.messages] == [b"x", b"y"]
    assert one.association.contained == other.association.contained == 0


async def test_text_that_is_none_closes_its_channel_only() -> None:
    one, other = await two_sides()
    bad, good = one.association.open(ChannelOptions()), one.association.open(ChannelOptions())
    await carry(one, other)
    one.transport.transmit(bad, 51, b"\xff\xfe")
    one.association.send(good, "ü")
    await carry(one, other)
    assert other.log.messages == [(good, "ü")]
    assert other.log.closed_channels == one.log.closed_channels == [bad]


async def test_a_handler_that_fails_is_contained() -> None:
    one, other = await two_sides()
    other.log.fail_on = "boom"
    handle = one.association.open(ChannelOptions())
    for message in ("boom", "fine"):
        one.association.send(handle, message)
    await carry(one, other)
    assert other.log.messages == [(handle, "fine")]
    assert other.association.contained == 1


async def test_a_handler_may_answer_close_and_abort() -> None:
    one, other = await two_sides()

    def act(handle: int, data: bytes | str) -> None:
        if data == "abort":
            other.association.abort("as told")
        elif data == "close":
            other.association.close(handle)
        else:
            other.association.send(handle, data)

    other.log.then = act
    handle, second = one.association.open(ChannelOptions()), one.association.open(ChannelOptions())
    one.association.send(handle, "echo")
    one.association.send(handle, "close")
    await carry(one, other)
    assert one.log.messages == [(handle, "echo")]
    assert one.log.closed_channels == [handle]
    one.association.send(second, "abort")
    await carry(one, other)
    assert (one.log.reason, other.log.reason) == ("as told", "as told")
    assert second in one.log.closed_channels and second in other.log.closed_channels


async def test_a_path_that_answers_at_once_is_handled_in_turn() -> None:
    one, other = Side(client=True), Side(client=False)
    one.association._send = other.association.receive
    other.association._send = one.association.receive
    one.association.start()
    other.association.start()
    handle = one.association.open(ChannelOptions())
    one.association.send(handle, bytes(200_000))
    async with asyncio.timeout(5):
        while not other.log.messages:  # noqa: ASYNC110 - nothing tells of this moment
            await asyncio.sleep(0)
    assert other.log.messages == [(handle, bytes(200_000))]
    assert one.association.contained == other.association.contained == 0
    one.association.abort("done")


async def test_closing_sends_what_is_queued_unless_told_otherwise() -> None:
    one, other = await two_sides()
    kept, dropped = one.association.open(ChannelOptions()), one.association.open(ChannelOptions())
    await carry(one, other)
    for handle in (kept, dropped):
        for _ in range(10):
            one.association.send(handle, bytes(20_000))
    one.association.close(kept)
    one.association.close(dropped)
    one.association.close(dropped, discard=True)
    await carry(one, other)
    assert sum(handle == kept for handle, _ in other.log.messages) == 10
    assert sum(handle == dropped for handle, _ in other.log.messages) < 10
    assert sorted(one.log.closed_channels) == sorted(other.log.closed_channels) == [kept, dropped]


async def test_the_peer_cannot_open_channels_without_end() -> None:
    one, other = await two_sides()
    for _ in range(MAX_PEER_CHANNELS + 3):
        one.association.open(ChannelOptions())
    await carry(one, other)
    assert len(other.log.opened) == MAX_PEER_CHANNELS
    assert len(one.log.closed_channels) == 3


@pytest.mark.parametrize("chunk", [AbortChunk(), ShutdownChunk(body=bytes(4))])
async def test_the_end_by_the_peer_ends_everything_for_good(chunk: Chunk) -> None:
    one, other = await two_sides()
    handle = other.association.open(ChannelOptions())
    await carry(one, other)
    other.association.receive(one.forge(chunk))
    assert other.log.closed_channels == [handle]
    assert "peer" in (other.log.reason or "")
    again = Side(client=True)
    again.association.start()
    for packet in [*again.take(), one.forge(AbortChunk()), one.forge(SackChunk(body=bytes(12)))]:
        other.association.receive(packet)
    assert not other.association.established
    assert not other.association.outstanding
    again.association.abort("done")


async def test_a_message_without_end_is_cut_off() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    await carry(one, other)
    tsn = other.transport._last_received_tsn
    for index in range(1, 3000):
        chunk = DataChunk(flags=2 if index == 1 else 0)
        chunk.tsn, chunk.stream_id, chunk.protocol = (tsn + index) % MODULO, handle, 53
        chunk.user_data = bytes(1160)
        other.association.receive(one.forge(chunk))
    assert other.log.reason == "a message is too large"


async def test_a_message_too_large_is_cut_off() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    one.transport.transmit(handle, 53, bytes(MAX_MESSAGE + 1))
    await carry(one, other)
    assert other.log.reason == one.log.reason == "a message is too large"


async def test_chunks_far_ahead_or_beyond_the_window_are_not_kept() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    await carry(one, other)
    tsn = other.transport._last_received_tsn
    for ahead in [*range(2, 2000), MAX_AHEAD + 1]:
        chunk = DataChunk(flags=0)
        chunk.tsn, chunk.stream_id, chunk.protocol = (tsn + ahead) % MODULO, handle, 53
        chunk.user_data = bytes(1160)
        other.association.receive(one.forge(chunk))
    held = sum(len(stream.reassembly) for stream in other.transport._inbound_streams.values())
    assert 900 <= held <= 905
    assert other.association.established
    assert max(map(len, other.take())) < 1200


async def test_streams_without_end_are_cut_off() -> None:
    one, other = await two_sides()
    tsn = other.transport._last_received_tsn
    for index in range(1, 3000):
        chunk = DataChunk(flags=2)
        chunk.tsn, chunk.stream_id, chunk.protocol, chunk.user_data = (tsn + index) % MODULO, index, 53, b"x"
        other.association.receive(one.forge(chunk))
    assert other.log.reason == "too many streams"


async def test_implausible_chunks_are_ignored() -> None:
    one, other = await two_sides()
    forged: list[Chunk] = []
    sack = SackChunk()
    sack.cumulative_tsn, sack.advertised_rwnd = (other.transport._local_tsn + 5) % MODULO, 1000
    forged.append(sack)
    skip = ForwardTsnChunk()
    skip.cumulative_tsn = (other.transport._last_received_tsn + 5 * MAX_AHEAD) % MODULO
    forged.append(skip)
    crowd = ForwardTsnChunk()
    crowd.cumulative_tsn = (other.transport._last_received_tsn + 1) % MODULO
    for chunk in forged:
        other.association.receive(one.forge(chunk))
    init = InitChunk()
    init.initiate_tag, init.inbound_streams, init.outbound_streams = 99, 1, 1
    other.association.receive(one.forge(init, tag=0))
    cookie = CookieEchoChunk(body=b"nonsense")
    other.association.receive(one.forge(cookie))
    other.association.receive(one.forge(AbortChunk(), tag=12345))
    handle = one.association.open(ChannelOptions())
    one.association.send(handle, b"fine")
    other.association.open(ChannelOptions())
    await carry(one, other)
    assert other.log.messages == [(handle, b"fine")]
    assert len(one.log.opened) == 1


async def test_data_before_the_handshake_is_ignored() -> None:
    side = Side(client=True)
    for chunk in (SackChunk(body=bytes(12)), DataChunk(body=bytes(13)), ForwardTsnChunk(body=bytes(4))):
        side.association.receive(side.forge(chunk, tag=side.transport._local_verification_tag))
    assert side.association.contained == 0
    assert side.take() == []


@pytest.mark.parametrize("seed", range(4))
async def test_mutated_packets_raise_nothing(seed: int) -> None:
    from google_crc32c import value as crc32c

    rng = random.Random(seed)
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions("c"))
    for _ in range(5):
        one.association.send(handle, rng.randbytes(3000))
    one.association.close(handle)
    seen: list[bytes] = []

    def note(packet: bytes) -> bool:
        seen.append(packet)
        return False

    await carry(one, other, note)
    for _ in range(3000):
        packet = bytearray(rng.choice(seen))
        for _ in range(rng.randrange(1, 4)):
            packet[rng.randrange(8, len(packet))] = rng.choice((0, 1, 255, rng.randrange(256)))
        packet[4:12] = other.transport._local_verification_tag.to_bytes(4, "big") + bytes(4)
        packet[8:12] = crc32c(bytes(packet)).to_bytes(4, "little")
        other.association.receive(bytes(packet))
        other.take()
        if not other.association.established:
            break
    await asyncio.sleep(0)
    assert other.association.contained == 0


async def test_loading_early_is_possible() -> None:
    preload()
    assert SctpAssociation.__module__ == "atmosphere.sctp.association"
