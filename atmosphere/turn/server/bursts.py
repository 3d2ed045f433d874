"""ChannelData (RFC 8656 §12.4) by the burst: what a socket read in one go is taken apart in one go. Pure.

    | channel number (16), 0x4000–0x4FFF | length (16) | application data | perhaps padding |

A burst lies in a `Window`, or is a tuple of parts: datagrams of one size, the last perhaps shorter. Almost always all
datagrams of a client's burst belong to one channel. Then their headers are one column of equal bytes, which four
slices show, and what is between them is cut out at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import chain, groupby, repeat

from atmosphere.udp.window import Buffer, Parts, Window

HEADER = struct.Struct("!HH")
NOT_CHANNEL_DATA = 0
"""As the number of a run: it is one message that is no ChannelData, whole."""
MALFORMED = -1

Run = tuple[int, Parts, int]
"""A channel's number, a burst of its application data, and the size of a datagram of it."""


def runs(window: Window, size: int, segment: int) -> Sequence[Run]:
    """A client's burst of `size` bytes in order, as few runs as there can be."""
    if not 0 < segment < size:
        return (_single(window.view[:size]),)
    length = _uniform(window, size, segment)
    if not length:
        return message_runs(window.cut(size, segment))
    number = HEADER.unpack_from(window.buffer)[0]
    rest = size % segment
    if not rest:
        return ((number, window.cut(size, segment, 4, length), length),)
    tail = _single(window.view[size - rest : size])
    if tail[0] == number and 0 < tail[2] < length and tail[2] == rest - 4:
        return ((number, window.cut(size, segment, 4, length), length),)
    return ((number, window.cut(size - rest, segment, 4, length), length), tail)


def _uniform(window: Window, size: int, segment: int) -> int:
    """The length of the application data where all whole datagrams are ChannelData of one channel and length, or 0."""
    head = bytes(window.view[:4])
    if segment < 5 or not 0x40 <= head[0] <= 0x4F:
        return 0
    length = (head[2] << 8) | head[3]
    count = size // segment
    same = (
        4 + length <= segment
        and window.column(0, size, segment) == head[0:1] * count
        and window.column(1, size, segment) == head[1:2] * count
        and window.column(2, size, segment) == head[2:3] * count
        and window.column(3, size, segment) == head[3:4] * count
    )
    return length if same else 0


def _single(message: Buffer) -> Run:
    if not message or not 0x40 <= message[0] <= 0x4F:
        return NOT_CHANNEL_DATA, (message,), len(message)
    if len(message) < 4:
        return MALFORMED, (message,), len(message)
    number, length = HEADER.unpack_from(message)
    if 4 + length > len(message):
        return MALFORMED, (message,), len(message)
    return number, (message[4 : 4 + length],), length


def message_runs(messages: Iterable[Buffer]) -> list[Run]:
    """The same for whole messages, as a connection carries them: neighbours of one channel and size are one run."""
    found: list[Run] = []
    for (number, length), group in groupby(map(_single, messages), key=lambda run: (run[0], run[2])):
        if number > 0 and length:
            found.append((number, tuple(parts[0] for _, parts, _ in group), length))
        else:
            found += group
    return found


def pieces(number: int, parts: Parts, segment: int) -> list[Buffer]:
    """A burst of ChannelData, unpadded, for a socket that gathers: header, data, header, data, …"""
    found = list(chain.from_iterable(zip(repeat(HEADER.pack(number, segment)), parts, strict=False)))
    if len(parts[-1]) != segment:
        found[-2] = HEADER.pack(number, len(parts[-1]))
    return found


def frames(number: int, parts: Parts) -> list[bytes]:
    """The same as whole messages."""
    return [HEADER.pack(number, len(part)) + part for part in parts]
