from __future__ import annotations

import struct

import pytest

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, packet
from atmosphere.sctp.build import Builder
from atmosphere.sctp.chunks import BEGIN, DATA, END, I_DATA, IMMEDIATE, Sack, Skipped
from atmosphere.sctp.ordering import Message
from atmosphere.sctp.outgoing import Outgoing, OutgoingQueue
from atmosphere.sctp.receiver import MAX_STREAMS, SLACK, WINDOW, WINDOW_MOST, Receiver

FIRST, TAG = 1000, 9
EXPECTED = packet.head(TAG) + bytes(4)


def whole(tsn: int, data: bytes = b"x", *, stream: int = 1, number: int = 0, flags: int = BEGIN | END) -> bytes:
    return struct.pack("!LHHLL", tsn, stream, 0, number, 53 if flags & BEGIN else 1) + data


def plain(tsn: int, size: int, *, number: int = 0) -> bytes:
    """The same without interleaving."""
    return struct.pack("!LHHL", tsn, 1, number, 53) + bytes(size)


def sack_of(receiver: Receiver) -> Sack:
    return Sack.decode(chunks.decode_all(receiver.sack(0.0))[0][2])


def burst(size: int = 65_536, count: int = 2) -> tuple[bytes, int]:
    queue = OutgoingQueue()
    for number in range(count):
        queue.push(Outgoing(1, 53, bytes([number]) * size))
    builder = Builder(TAG, interleaved=True, zero_checksum=True)
    ((data, segment),), _ = builder.build(queue, FIRST, 50, 0.0)
    return data, segment


def take(receiver: Receiver, data: bytes, segment: int) -> tuple[list[Message], int]:
    """What a burst brings, and how many packets went the long way."""
    got: list[Message] = []
    slow = 0

    def other(one: bytes) -> bool:
        nonlocal slow
        slow += 1
        for kind, flags, value in chunks.decode_all(one, packet.HEADER):
            got.extend(receiver.data(kind, flags, value, 0.0))
        return True

    receiver.burst(data, segment, EXPECTED, 0.0, other)
    return got, slow


def test_a_burst_is_taken_in_columns() -> None:
    receiver = Receiver(FIRST, interleaved=True)
    data, segment = burst(50_000)
    got, slow = take(receiver, data, segment)
    assert got == [Message(1, 53, bytes(50_000))]
    assert slow <= 3
    assert receiver.acknowledgement.unreported == 50 - slow
    assert sack_of(receiver).cumulative == receiver.tsns.cumulative >= FIRST + 49


@pytest.mark.parametrize("broken", ["header", "order", "missing", "twice"])
def test_a_burst_that_is_not_plain_goes_the_long_way(broken: str) -> None:
    receiver = Receiver(FIRST, interleaved=True)
    data, segment = burst()
    packets = [data[start : start + segment] for start in range(0, len(data), segment)]
    if broken == "header":
        packets[7] = packet.head(TAG) + b"sum?" + packets[7][12:]
    elif broken == "order":
        packets[7], packets[8] = packets[8], packets[7]
    elif broken == "missing":
        lost = packets.pop(7)
    else:
        packets.insert(7, packets[6])
    _, slow = take(receiver, b"".join(packets), segment)
    assert slow > 40
    if broken == "missing":
        assert sack_of(receiver).gaps[0][0] == 2
        take(receiver, lost, segment)
    assert receiver.tsns.cumulative == FIRST + 49
    assert receiver.tsns.is_whole


def test_without_interleaving_everything_goes_the_long_way() -> None:
    receiver = Receiver(FIRST, interleaved=False)
    seen: list[bytes] = []
    data, segment = burst()

    def other(one: bytes) -> bool:
        seen.append(one)
        return len(seen) < 5

    receiver.burst(data, segment, EXPECTED, 0.0, other)
    assert b"".join(seen) == data[: 5 * segment]


def test_the_window_tells_what_is_kept_and_what_is_unread() -> None:
    receiver = Receiver(FIRST, interleaved=True)
    assert sack_of(receiver).window == WINDOW
    receiver.data(I_DATA, BEGIN, whole(FIRST, bytes(1000), flags=BEGIN), 0.0)
    receiver.read(5000)
    assert WINDOW - 6200 < sack_of(receiver).window < WINDOW - 6000
    receiver.read(WINDOW - 10)
    receiver.acknowledgement.sent(0.0)
    assert sack_of(receiver).window == 0
    receiver.read(WINDOW - 1000)
    assert not receiver.acknowledgement.is_due(0.0)
    receiver.read(10)
    assert receiver.acknowledgement.is_due(0.0)


def test_the_window_grows_for_a_peer_whose_data_is_read() -> None:
    receiver, size = Receiver(FIRST, interleaved=False), 100_000

    def come(total: int) -> int:
        for _ in range(-(-total // size)):
            tsn = receiver.tsns.cumulative + 1
            (message,) = receiver.data(DATA, BEGIN | END, plain(tsn, size, number=(tsn - FIRST) % 65536), 0.0)
            assert len(message.data) == size
        return sack_of(receiver).window

    assert come(WINDOW) == WINDOW, "half of what it takes"
    receiver.read(WINDOW // 2)
    assert come(2 * WINDOW) == WINDOW // 2, "the reader does not keep up"
    receiver.read(0)
    assert come(0) == 2 * WINDOW
    assert come(4 * WINDOW) == WINDOW_MOST
    assert come(20 * WINDOW) == WINDOW_MOST
    receiver.read(WINDOW_MOST - 5)
    assert come(0) == 5
    assert not receiver.acknowledgement.is_due(0.0)
    receiver.read(WINDOW_MOST // 2)
    assert receiver.acknowledgement.is_due(0.0), "half of the window is told"


def test_beyond_the_window_only_what_comes_next_is_taken_and_even_that_has_an_end() -> None:
    receiver = Receiver(FIRST, interleaved=True)
    size, tsn = 200_000, FIRST + 1
    while receiver.held < WINDOW:
        receiver.data(I_DATA, 0, whole(tsn, bytes(size), stream=tsn % 1000, flags=0), 0.0)
        tsn += 1
    before = receiver.held
    receiver.data(I_DATA, 0, whole(tsn, bytes(size), stream=5, flags=0), 0.0)
    assert receiver.held == before
    receiver.data(I_DATA, 0, whole(FIRST, bytes(size), stream=900, flags=0), 0.0)
    assert receiver.held > before
    tsn = receiver.tsns.cumulative + 1
    with pytest.raises(DecodeError, match="more than it may"):
        while receiver.held < 3 * WINDOW:
            receiver.data(I_DATA, 0, whole(tsn, bytes(size), stream=tsn % 1000, flags=0), 0.0)
            tsn += 1
    assert receiver.held < WINDOW + SLACK + 2 * size


def test_a_slow_reader_only_closes_the_window() -> None:
    receiver = Receiver(FIRST, interleaved=True)
    receiver.read(WINDOW + 2 * SLACK)
    for tsn in range(FIRST, FIRST + 10):
        assert receiver.data(I_DATA, 3, whole(tsn, number=tsn - FIRST), 0.0) == []
    assert receiver.tsns.cumulative == FIRST - 1


@pytest.mark.parametrize(("kind", "value"), [(chunks.DATA, whole(FIRST)), (I_DATA, whole(FIRST)[:16]), (I_DATA, b"")])
def test_what_no_honest_peer_sends_is_an_error(kind: int, value: bytes) -> None:
    with pytest.raises(DecodeError):
        Receiver(FIRST, interleaved=True).data(kind, 3, value, 0.0)


def test_streams_without_end_are_an_error() -> None:
    receiver = Receiver(FIRST, interleaved=True)
    with pytest.raises(DecodeError, match="streams"):
        for place in range(MAX_STREAMS + 10):
            receiver.data(I_DATA, 3, whole(FIRST + place, stream=place), 0.0)
    with pytest.raises(DecodeError, match="streams"):
        Receiver(FIRST, interleaved=True).forward(FIRST, [Skipped(0, 0)] * (MAX_STREAMS + 1))


def test_a_repeated_or_hurried_chunk_is_acknowledged_at_once() -> None:
    receiver = Receiver(FIRST, interleaved=True)
    receiver.data(I_DATA, 3, whole(FIRST), 0.0)
    receiver.packet_done(0.0)
    sack_of(receiver)
    receiver.data(I_DATA, 3, whole(FIRST), 0.0)
    assert receiver.acknowledgement.is_due(0.0)
    assert sack_of(receiver).duplicates == (FIRST,)
    receiver.data(I_DATA, 3 | IMMEDIATE, whole(FIRST + 1, number=1), 0.0)
    assert receiver.acknowledgement.is_due(0.0)


def test_what_is_given_up_is_passed_over() -> None:
    receiver = Receiver(FIRST, interleaved=True)
    receiver.data(I_DATA, 3, whole(FIRST + 1, b"second", number=1), 0.0)
    assert receiver.forward(FIRST, [Skipped(1, 0)]) == [Message(1, 53, b"second")]
    assert receiver.forward(FIRST, [Skipped(1, 0)]) == []
    assert receiver.tsns.cumulative == FIRST + 1
    receiver.reset(1)
    assert receiver.data(I_DATA, 3, whole(FIRST + 2, number=0), 0.0) == [Message(1, 53, b"x")]
