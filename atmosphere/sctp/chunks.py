"""Chunks: what an SCTP packet is made of (RFC 9260 section 3.2, with those of RFC 3758, 6525, 8260 and 4820).

```
chunk: type (1) | flags (1) | length (2, with these four bytes) | value | padding to 4
```
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from atmosphere.errors import DecodeError

(
    DATA,
    INIT,
    INIT_ACK,
    SACK,
    HEARTBEAT,
    HEARTBEAT_ACK,
    ABORT,
    SHUTDOWN,
    SHUTDOWN_ACK,
    ERROR,
    COOKIE_ECHO,
    COOKIE_ACK,
) = range(12)
SHUTDOWN_COMPLETE = 14
I_DATA, RE_CONFIG, PAD, FORWARD_TSN, I_FORWARD_TSN = 64, 130, 132, 192, 194
PIECE = 0xBF
"""Our own, see pieces.py; who does not know it skips it (its highest bits are 10)."""

END, BEGIN, UNORDERED, IMMEDIATE = 1, 2, 4, 8
"""Flags of DATA and I-DATA: last fragment, first fragment, unordered, acknowledge at once."""
TAG_REFLECTED = 1
"""Flag of ABORT and SHUTDOWN COMPLETE: the tag is the receiver's own (the T bit)."""

MAX_CHUNKS = 512
"""Chunks in one packet, at most."""
MAX_GAPS, MAX_DUPLICATES = 250, 16
"""Ranges and repeated packets in one SACK of ours, so that it fits a packet."""
MAX_SKIPPED = 100
"""Streams in one FORWARD TSN of ours, for the same reason."""

_HEAD = struct.Struct("!BBH")
_SACK = struct.Struct("!LLHH")
_INIT = struct.Struct("!LLHHL")

Chunk = tuple[int, int, bytes]
"""Type, flags, value."""


def encode(kind: int, value: bytes = b"", flags: int = 0) -> bytes:
    """A chunk, padded."""
    return _HEAD.pack(kind, flags, 4 + len(value)) + value + bytes(-len(value) % 4)


def decode_all(packet: bytes, start: int = 0) -> list[Chunk]:
    """The chunks of a packet that begin at `start`; DecodeError when one is cut short or there are too many."""
    chunks: list[Chunk] = []
    size = len(packet)
    while start < size:
        if start + 4 > size:
            raise DecodeError("a chunk is cut short")
        kind, flags, length = _HEAD.unpack_from(packet, start)
        if length < 4 or start + length > size:
            raise DecodeError("a chunk's length is wrong")
        chunks.append((kind, flags, packet[start + 4 : start + length]))
        start += length + -length % 4
    if len(chunks) > MAX_CHUNKS:
        raise DecodeError("too many chunks in one packet")
    return chunks


class Init(NamedTuple):
    """INIT and INIT ACK (RFC 9260 sections 3.3.2 and 3.3.3)."""

    tag: int
    window: int
    outbound: int
    inbound: int
    tsn: int
    parameters: bytes = b""

    def encode(self) -> bytes:
        """The value of the chunk."""
        return _INIT.pack(self.tag, self.window, self.outbound, self.inbound, self.tsn) + self.parameters

    @classmethod
    def decode(cls, value: bytes) -> Init:
        """Or DecodeError: also for what section 3.3.2 forbids, a tag of 0 or no streams."""
        if len(value) < _INIT.size:
            raise DecodeError("an INIT is cut short")
        tag, window, outbound, inbound, tsn = _INIT.unpack_from(value)
        if not tag or not outbound or not inbound:
            raise DecodeError("an INIT without a tag or without streams")
        return cls(tag, window, outbound, inbound, tsn, value[_INIT.size :])


class Sack(NamedTuple):
    """SACK (RFC 9260 section 3.3.4); gaps are offsets from the cumulative TSN, first and last."""

    cumulative: int
    window: int
    gaps: tuple[tuple[int, int], ...] = ()
    duplicates: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """The whole chunk; what does not fit a packet is left out."""
        if not self.gaps and not self.duplicates:
            return _HEAD.pack(SACK, 0, 16) + _SACK.pack(self.cumulative, self.window, 0, 0)
        gaps, duplicates = self.gaps[:MAX_GAPS], self.duplicates[:MAX_DUPLICATES]
        numbers = [number for gap in gaps for number in gap]
        return encode(
            SACK,
            _SACK.pack(self.cumulative, self.window, len(gaps), len(duplicates))
            + struct.pack(f"!{len(numbers)}H{len(duplicates)}L", *numbers, *duplicates),
        )

    @classmethod
    def decode(cls, value: bytes) -> Sack:
        """Or DecodeError; ranges must be in order and apart, so that their size is bounded by what was sent."""
        if len(value) < _SACK.size:
            raise DecodeError("a SACK is cut short")
        cumulative, window, gap_count, duplicate_count = _SACK.unpack_from(value)
        if len(value) != _SACK.size + 4 * (gap_count + duplicate_count):
            raise DecodeError("a SACK does not have the length it says")
        if not gap_count and not duplicate_count:
            return cls(cumulative, window)
        numbers = struct.unpack_from(f"!{2 * gap_count}H{duplicate_count}L", value, _SACK.size)
        ends = numbers[: 2 * gap_count]
        gaps = tuple(zip(ends[::2], ends[1::2], strict=True))
        last = 0
        for first, final in gaps:
            if not last < first <= final:
                raise DecodeError("the ranges of a SACK are not in order")
            last = final
        return cls(cumulative, window, gaps, numbers[2 * gap_count :])


class Skipped(NamedTuple):
    """One message that a FORWARD TSN passes over: its stream, its number there, whether it is unordered."""

    stream: int
    number: int
    unordered: bool = False


def encode_forward(tsn: int, skipped: list[Skipped], *, interleaved: bool) -> bytes:
    """FORWARD TSN (RFC 3758 section 3.2), or with `interleaved` I-FORWARD-TSN (RFC 8260 section 2.3.1)."""
    streams = skipped[:MAX_SKIPPED]
    if interleaved:
        entries = b"".join(struct.pack("!HHL", one.stream, one.unordered, one.number) for one in streams)
        return encode(I_FORWARD_TSN, struct.pack("!L", tsn) + entries)
    entries = b"".join(struct.pack("!HH", one.stream, one.number) for one in streams if not one.unordered)
    return encode(FORWARD_TSN, struct.pack("!L", tsn) + entries)


def decode_forward(value: bytes, *, interleaved: bool) -> tuple[int, list[Skipped]]:
    """The TSN to go to, and what is passed over; DecodeError when it is cut short."""
    size = 8 if interleaved else 4
    if len(value) < 4 or (len(value) - 4) % size:
        raise DecodeError("a FORWARD TSN is cut short")
    tsn = int.from_bytes(value[:4])
    if interleaved:
        entries = struct.iter_unpack("!HHL", value[4:])
        return tsn, [Skipped(stream, number, bool(flags & 1)) for stream, flags, number in entries]
    return tsn, [Skipped(stream, number) for stream, number in struct.iter_unpack("!HH", value[4:])]
