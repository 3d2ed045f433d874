"""Packets out of messages: as many as may be sent, in bursts of one size, the fragments of a message in columns.

The end of a message shares its packet with the beginning of the next, so that all packets but the last are full: the
kernel sends datagrams of one size in one call.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

from atmosphere.sctp import packet
from atmosphere.sctp.chunks import BEGIN, DATA, END, I_DATA, UNORDERED
from atmosphere.sctp.flight import Batch
from atmosphere.sctp.outgoing import Outgoing, OutgoingQueue
from atmosphere.sctp.pieces import split
from atmosphere.sctp.received import MODULO

MAX_BURST = 65507 - 256
"""Bytes in one burst, so that it fits one datagram of the kernel's with what DTLS adds to each packet."""
FEWEST = 8
"""Packets in one burst where they are so large that few fit: it goes to the kernel in parts, but is made at once."""
MAX_SEGMENTS = 64
RECORD = 48
"""What DTLS adds to a packet, at most."""
LEAST_FRAGMENT = 64
"""A message is not begun for fewer bytes than these."""

Burst = tuple[bytes, int]
"""Packets end to end, and the size of each but the last, which may be shorter."""

_I_DATA = struct.Struct("!BBHLHHLL")
_DATA = struct.Struct("!BBHLHHL")


@lru_cache(maxsize=512)
def _columns(count: int, payload: int, *, interleaved: bool) -> struct.Struct:
    fields = f"{packet.HEADER}s4sL8sL{payload}s" if interleaved else f"{packet.HEADER}s4sL8s{payload}s"
    return struct.Struct(">" + fields * count)


@lru_cache(maxsize=512)
def _cuts(count: int, payload: int) -> struct.Struct:
    return struct.Struct(f"{payload}s" * count)


class Builder:
    """Makes packets of at most `mtu` bytes for one peer."""

    def __init__(self, tag: int, *, interleaved: bool, zero_checksum: bool, mtu: int = packet.MTU) -> None:
        self._start = packet.head(tag)
        self._head = self._start + bytes(4)
        self._interleaved = interleaved
        self._zero_checksum = zero_checksum
        self._header = _I_DATA.size if interleaved else _DATA.size
        self.mtu = 0
        self.body = 0
        self.set_mtu(mtu)

    def set_mtu(self, mtu: int) -> None:
        """Make packets of that size from now on."""
        self.mtu = mtu & ~3
        self.body = self.mtu - packet.HEADER
        self.payload = self.body - self._header
        self.most = max(FEWEST, min(MAX_SEGMENTS, MAX_BURST // (self.mtu + RECORD)))
        """Packets in one burst, at most."""

    def bundle(self, chunks: list[bytes], *, whole: bool = False) -> list[Burst]:
        """Packets of chunks in their order; those that do not fit one come in pieces, unless all must be `whole`."""
        bodies: list[bytes] = []
        if not whole and max(map(len, chunks), default=0) > self.body:
            chunks = [piece for chunk in chunks for piece in self._fitting(chunk)]
        for chunk in chunks:
            if bodies and len(bodies[-1]) + len(chunk) <= self.body:
                bodies[-1] += chunk
            else:
                bodies.append(chunk)
        return self._bursts([(self._head + body, packet.HEADER + len(body)) for body in bodies])

    def _fitting(self, chunk: bytes) -> list[bytes]:
        return split(chunk, self.body) if len(chunk) > self.body else [chunk]

    def build(
        self, queue: OutgoingQueue, tsn: int, packets: int, now: float, control: bytes = b""
    ) -> tuple[list[Burst], list[Batch]]:
        """At most `packets` packets of what waits, the first chunk with that `tsn`; and what is on its way then.

        The first packet begins with the chunks `control`.
        """
        made: list[Burst] = []
        batches: list[Batch] = []
        body = control
        while packets and (message := queue.current(now)) is not None:
            room = self.body - len(body) - self._header
            left = message.left
            if not body and left >= self.payload:
                batch = self._run(queue, message, tsn, packets, now)
                made.append((batch.data, self.mtu))
                batches.append(batch)
                tsn += batch.count
                packets -= batch.count
                continue
            if left > room and (room < LEAST_FRAGMENT or (not message.offset and left <= self.payload)):
                made.append((self._head + body, packet.HEADER + len(body)))
                packets -= 1
                body = b""
                continue
            size = left if left <= room else room & ~3
            chunk = self._chunk(queue, message, tsn, size)
            batches.append(Batch(tsn, 1, len(chunk), chunk, message, now))
            tsn += 1
            body += chunk
            if self.body - len(body) <= self._header:
                made.append((self._head + body, packet.HEADER + len(body)))
                packets -= 1
                body = b""
        if body:
            made.append((self._head + body, packet.HEADER + len(body)))
        return self._bursts(made), batches

    def _run(self, queue: OutgoingQueue, message: Outgoing, tsn: int, packets: int, now: float) -> Batch:
        """Full packets of one fragment each."""
        payload, offset = self.payload, message.offset
        count = min(packets, message.left // payload)
        if allowance := queue.allowance():
            count = min(count, max(1, allowance // payload))
        if not offset:
            queue.begin(message)
        flags = UNORDERED if message.unordered else 0
        kind, length = (I_DATA if self._interleaved else DATA), self._header + payload
        heads = [struct.pack(">BBH", kind, flags, length)] * count
        first_flags = flags | (0 if offset else BEGIN)
        last = END if offset + count * payload == len(message.data) else 0
        if count == 1:
            heads[0] = struct.pack(">BBH", kind, first_flags | last, length)
        else:
            heads[0] = struct.pack(">BBH", kind, first_flags, length)
            heads[-1] = struct.pack(">BBH", kind, flags | last, length)
        wire = tsn % MODULO
        tsns: Any = range(wire, wire + count)
        if wire + count > MODULO:
            tsns = [(wire + place) % MODULO for place in range(count)]
        payloads = _cuts(count, payload).unpack_from(message.data, offset)
        if self._interleaved:
            numbers = [*range(message.fragment, message.fragment + count)]
            if not offset:
                numbers[0] = message.protocol
            row = [self._head, b"", 0, struct.pack(">HHL", message.stream, 0, message.number), 0, b""] * count
            row[4::6], row[5::6] = numbers, payloads
            row[1::6], row[2::6] = heads, tsns
        else:
            key = struct.pack(">HHL", message.stream, message.number, message.protocol)
            row = [self._head, b"", 0, key, b""] * count
            row[1::5], row[2::5], row[4::5] = heads, tsns, payloads
        data = _columns(count, payload, interleaved=self._interleaved).pack(*row)
        message.fragment += count
        queue.spend(message, count * payload)
        return Batch(tsn, count, self.body, data, message, now, offset=packet.HEADER, stride=self.mtu)

    def _chunk(self, queue: OutgoingQueue, message: Outgoing, tsn: int, size: int) -> bytes:
        """One fragment, or a whole small message."""
        offset = message.offset
        if not offset:
            queue.begin(message)
        flags = (UNORDERED if message.unordered else 0) | (0 if offset else BEGIN)
        if offset + size == len(message.data):
            flags |= END
        length, wire = self._header + size, tsn % MODULO
        if self._interleaved:
            number = message.fragment if offset else message.protocol
            head = _I_DATA.pack(I_DATA, flags, length, wire, message.stream, 0, message.number, number)
        else:
            head = _DATA.pack(DATA, flags, length, wire, message.stream, message.number, message.protocol)
        payload = message.data if size == len(message.data) else message.data[offset : offset + size]
        message.fragment += 1
        queue.spend(message, size)
        return head + payload + bytes(-size % 4)

    def _bursts(self, made: list[Burst]) -> list[Burst]:
        """Those of one size together; the last of a burst may be shorter."""
        if len(made) == 1 and self._zero_checksum:
            return made
        bursts: list[Burst] = []
        pieces: list[bytes] = []
        size = count = 0
        for data, segment in made:
            more = len(data) // segment
            if pieces and (segment > size or count + more > self.most):
                bursts.append((b"".join(pieces), size))
                pieces, count = [], 0
            size = size if pieces else segment
            pieces.append(data)
            count += more
            if segment < size:
                bursts.append((b"".join(pieces), size))
                pieces, count = [], 0
        if pieces:
            bursts.append((pieces[0] if len(pieces) == 1 else b"".join(pieces), size))
        if self._zero_checksum:
            return bursts
        return [(packet.seal_all(data, segment), segment) for data, segment in bursts]
