"""ChannelData (RFC 8656 §12.4) by the burst: what a socket read in one go is taken apart in one go. Pure.

    | channel number (16), 0x4000–0x4FFF | length (16) | application data | perhaps padding |

A burst is what UDP_GRO gives: datagrams of one size from one source, end to end, the last perhaps shorter. Almost
always all of them belong to one channel, and then their headers are one column of equal bytes, which four slices show.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby

from atmosphere.turn.server.flow import Payload

HEADER = struct.Struct("!HH")
NOT_CHANNEL_DATA = 0
"""As the number of a run: its parts are whole messages that are no ChannelData."""
MALFORMED = -1

Run = tuple[int, list[Payload]]


def runs(data: bytes, segment: int) -> Iterator[Run]:
    """A burst as (channel number, payloads), in order; what is no ChannelData comes whole, a message a part."""
    size = len(data)
    if 0 < segment < size:
        count = size // segment
        if _uniform(data, segment, count):
            yield from _joined(_run(data, segment, count), data[count * segment :])
            return
        yield from _grouped([data[start : start + segment] for start in range(0, size, segment)])
    else:
        yield _single(data)


def _uniform(data: bytes, segment: int, count: int) -> bool:
    """Whether the first `count` datagrams are ChannelData of one channel and one length, which fits."""
    if segment < 4 or not 0x40 <= data[0] <= 0x4F or 4 + ((data[2] << 8) | data[3]) > segment:
        return False
    end = count * segment
    return all(data[place:end:segment] == data[place : place + 1] * count for place in range(4))


def _run(data: bytes, segment: int, count: int) -> Run:
    number, length = HEADER.unpack_from(data)
    view, end = memoryview(data), 4 + length
    return number, [view[start + 4 : start + end] for start in range(0, count * segment, segment)]


def _joined(run: Run, tail: bytes) -> Iterator[Run]:
    """A run and the shorter datagram that ends its burst, which goes along when it is of the same channel."""
    rest = _single(tail) if tail else None
    if rest is not None and rest[0] == run[0]:
        run[1].extend(rest[1])
        rest = None
    yield run
    if rest is not None:
        yield rest


def _single(message: bytes) -> Run:
    if not message or not 0x40 <= message[0] <= 0x4F:
        return NOT_CHANNEL_DATA, [message]
    if len(message) < 4:
        return MALFORMED, [message]
    number, length = HEADER.unpack_from(message)
    if 4 + length > len(message):
        return MALFORMED, [message]
    return number, [memoryview(message)[4 : 4 + length]]


def _grouped(messages: Sequence[bytes]) -> Iterator[Run]:
    for number, group in groupby(map(_single, messages), key=lambda run: run[0]):
        yield number, [part for _, parts in group for part in parts]


def message_runs(messages: Sequence[bytes]) -> Iterator[Run]:
    """The same for whole messages, as they come from a stream: consecutive ones of a channel are one run."""
    return _grouped(messages)


def frames(number: int, parts: Sequence[Payload]) -> list[bytes]:
    """One ChannelData message for each part, unpadded."""
    size = len(parts[0])
    head = HEADER.pack(number, size)
    made = [head + part for part in parts]
    for place, part in enumerate(parts):
        if len(part) != size:
            made[place] = HEADER.pack(number, len(part)) + part
    return made


def segments(data: bytes, segment: int) -> list[Payload]:
    """The datagrams of a burst."""
    if not 0 < segment < len(data):
        return [data]
    view = memoryview(data)
    return [view[start : start + segment] for start in range(0, len(data), segment)]
