"""The receiving half: chunks in, messages and SACKs out; what is kept is bounded by the window that was offered.

A burst whose packets are all alike, one middle fragment of the same message each, is taken in columns: one `struct`
call for the burst instead of one for each packet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.sctp.acknowledge import Acknowledgement
from atmosphere.sctp.chunks import I_DATA, IMMEDIATE, Sack, Skipped
from atmosphere.sctp.interleaved import HEADER as I_HEADER
from atmosphere.sctp.interleaved import InterleavedReassembly
from atmosphere.sctp.ordering import Message
from atmosphere.sctp.packet import HEADER as PACKET_HEADER
from atmosphere.sctp.reassembly import HEADER, DataReassembly
from atmosphere.sctp.received import MODULO, ReceivedTsns, unwrap

WINDOW = 4 * 1024 * 1024
"""Bytes that we offer to keep (a_rwnd) at first."""
WINDOW_MOST = 16 * 1024 * 1024
"""The same for a peer that had sent much and was read: a lossy path of 300 ms holds 4 MiB of gaps at 50 Mbit/s."""
SLACK = 1024 * 1024
"""Beyond the window, so that what fills a gap finds room when the window is used up by small fragments."""
MAX_STREAMS = 2048
_COLUMNS = 6


@lru_cache(maxsize=512)
def _burst_of(count: int, payload: int) -> struct.Struct:
    """`count` packets of one I-DATA chunk: packet header, chunk header, TSN, stream to message id, number, payload."""
    return struct.Struct(">" + f"{PACKET_HEADER}s4sL8sL{payload}s" * count)


class Receiver:
    """What the peer's data is for us; made when its first TSN is known."""

    def __init__(self, first_tsn: int, *, interleaved: bool) -> None:
        self.tsns = ReceivedTsns(first_tsn)
        self.acknowledgement = Acknowledgement()
        self.interleaved = interleaved
        self._reassembly: InterleavedReassembly | DataReassembly = (
            InterleavedReassembly() if interleaved else DataReassembly()
        )
        self.unread = 0
        """Bytes that were given out and not read yet, as far as the owner counts them."""
        self._limit = WINDOW
        self._offered = WINDOW
        self._came = 0
        """Bytes that were taken since the window grew."""

    @property
    def held(self) -> int:
        """Bytes that are kept, here and unread, with what keeping them costs."""
        return self._reassembly.held + self.unread

    @property
    def window(self) -> int:
        """Bytes that the peer may still send."""
        return max(0, self._limit - self.held)

    def data(self, kind: int, flags: int, value: bytes, now: float) -> list[Message]:
        """Take one DATA or I-DATA chunk. DecodeError for what no honest peer sends: then the association is over."""
        header = I_HEADER if kind == I_DATA else HEADER
        if len(value) <= header:
            raise DecodeError("a DATA chunk without data")
        if (kind == I_DATA) != self.interleaved:
            raise DecodeError("DATA and I-DATA are mixed")
        tsns = self.tsns
        tsn = tsns.cumulative + 1
        if (
            int.from_bytes(value[:4]) == tsn % MODULO
            and tsns.is_whole
            and self.held < self._limit
            and not self._is_crowded
        ):
            tsns.cumulative = tsn
            self._came += len(value)
            self.acknowledgement.arrived(0, now)
            if flags & IMMEDIATE:
                self.acknowledgement.hurry()
            return self._reassembly.add(tsn, flags, value)
        tsn = unwrap(int.from_bytes(value[:4]), tsns.cumulative)
        if not self._may_come(tsn, int.from_bytes(value[4:6])):
            self.acknowledgement.hurry()
            return []
        self._came += len(value)
        was_whole = tsns.is_whole
        tsns.add(tsn)
        self.acknowledgement.arrived(0, now)
        if not was_whole or not tsns.is_whole or flags & IMMEDIATE:
            self.acknowledgement.hurry()
        return self._reassembly.add(tsn, flags, value)

    def burst(self, data: bytes, segment: int, expected: bytes, now: float, other: Callable[[bytes], bool]) -> None:
        """Take packets of `segment` bytes each: runs of middle fragments in columns, any else by `other(packet)`.

        `expected` is the packet header that each must have to be taken here. `other` says whether to go on.
        """
        count, payload = len(data) // segment, segment - PACKET_HEADER - I_HEADER - 4
        columns: tuple[Any, ...] = ()
        if self.interleaved and payload > 0:
            columns = _burst_of(count, payload).unpack_from(data)
        heads = columns[1::_COLUMNS]
        middle = struct.pack(">BBH", I_DATA, 0, segment - PACKET_HEADER)
        stops = [place for place, head in enumerate(heads) if head != middle] if heads.count(middle) < count else []
        start = 0
        for stop in [*stops, count] if columns else [0]:
            if stop - start > 1 and self._take(columns, start, stop, payload, expected, now):
                start = stop
            for place in range(start, min(stop + 1, count) if columns else count):
                if not other(data[place * segment : (place + 1) * segment]):
                    return
            start = stop + 1

    def _take(self, columns: tuple[Any, ...], start: int, stop: int, size: int, expected: bytes, now: float) -> bool:
        """Take a run of middle fragments, if they are of one message and just those that come next."""
        reassembly, count = self._reassembly, stop - start
        if not isinstance(reassembly, InterleavedReassembly) or not self.tsns.is_whole or self.held > self._limit:
            return False
        begin, end = start * _COLUMNS, stop * _COLUMNS
        heads, keys = columns[begin:end:_COLUMNS], columns[begin + 3 : end : _COLUMNS]
        tsns, numbers = columns[begin + 2 : end : _COLUMNS], columns[begin + 4 : end : _COLUMNS]
        first = self.tsns.cumulative + 1
        wire, number = first % MODULO, numbers[0]
        if (
            heads.count(expected) != count
            or keys.count(keys[0]) != count
            or tsns != tuple(range(wire, wire + count))
            or numbers != tuple(range(number, number + count))
            or not reassembly.extend(keys[0], number, columns[begin + 5 : end : _COLUMNS], size)
        ):
            return False
        self.tsns.forward(first + count - 1)
        self._came += count * size
        self.acknowledgement.arrived(count, now)
        return True

    def packet_done(self, now: float) -> None:
        """A packet that had data in it has been taken."""
        self.acknowledgement.arrived(1, now)

    def forward(self, wire: int, skipped: list[Skipped]) -> list[Message]:
        """The peer gives up everything up to a TSN (RFC 3758 section 3.6)."""
        tsn = unwrap(wire, self.tsns.cumulative)
        self.acknowledgement.hurry()
        if len(skipped) + self._reassembly.streams > MAX_STREAMS:
            raise DecodeError("too many streams")
        if not self.tsns.forward(tsn):
            return []
        return self._reassembly.forward(tsn, skipped)

    def reset(self, stream: int) -> None:
        """The peer begins a stream anew (RFC 6525 section 5.2.2)."""
        self._reassembly.reset(stream)

    def read(self, unread: int) -> None:
        """So much is unread now; a window that had been nearly closed is told to the peer when it opens."""
        self.unread = unread
        if self._offered < self._limit // 2 <= self.window:
            self.acknowledgement.hurry()

    def sack(self, now: float) -> bytes:
        """The SACK chunk as of now; it counts as sent."""
        self.acknowledgement.sent(now)
        self._grow()
        self._offered = self.window
        return Sack(
            self.tsns.cumulative % MODULO, self._offered, self.tsns.gaps(), self.tsns.take_duplicates()
        ).encode()

    def _grow(self) -> None:
        """Offer twice as much to a peer that sent twice the window, to a reader that keeps up."""
        if self._limit < WINDOW_MOST and self._came >= 2 * self._limit and self.unread <= self._limit // 4:
            self._limit *= 2
            self._came = 0

    @property
    def _is_crowded(self) -> bool:
        return self._reassembly.streams > MAX_STREAMS

    def _may_come(self, tsn: int, stream: int) -> bool:
        """Whether a chunk is taken: it is new, and either fills a gap or finds room."""
        if not self.tsns.takes(tsn):
            return False
        if self._is_crowded:
            raise DecodeError("too many streams")
        if self.held < self._limit or tsn < self.tsns.highest:
            if self.held > self._limit + WINDOW:
                raise DecodeError("the peer sent more than it may")
            return True
        if self.unread or tsn > self.tsns.cumulative + 1:
            return False
        # Nobody can read before the next chunk is here, so it is taken; but an honest peer begins few messages at once.
        if self.held >= self._limit + SLACK:
            raise DecodeError("the peer sent more than it may")
        return True
