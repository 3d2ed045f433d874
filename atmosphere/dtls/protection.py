"""The records of an open session: bursts of packets sealed and opened in one go (RFC 6347 section 4.1).

OpenSSL shakes hands; then it is asked for the keys and let go, for a session of its holds 67 KB for as long as it
lives, and its records take a call in, a call out and three copies each. What is left to do is the use of an AEAD: a
nonce that never comes twice, and a record that is taken only once.

A record of AES-GCM (RFC 5288): header (13 bytes), explicit nonce (8), ciphertext, tag (16). ChaCha20-Poly1305 (RFC
7905) has no explicit nonce; the record's number is mixed into the derived one.

Records of one size in a row are handled column by column: all sequence numbers, all nonces, all ciphertexts; what
Python does for a record is then little beside the cipher's work. What breaks a row goes one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag

from atmosphere.dtls.burst import Burst
from atmosphere.dtls.records import APPLICATION_DATA, EPOCH, HEADER, VERSION, number
from atmosphere.dtls.replay import ReplayWindow
from atmosphere.dtls.secrets import Half

MAX_PACKET = 16384
MAX_SEALED = 2**30
"""Records under one key: more than a terabyte, and well within what AES-GCM bears (RFC 8446 section 5.5)."""
MAX_FORGED = 2**36
"""Records that were not authentic, of which one session is willing to hear (RFC 9147 section 4.5.3)."""
ROW = 5
"""Fewer records than this are not worth their columns."""
_NONCE, _EXPLICIT, _TAG = 12, 8, 16
_NUMBERS = 2**64


class KeysSpentError(Exception):
    """A key was used as often as it may be."""


class _Direction:
    """How nonces are made, and what a record adds to a packet."""

    def __init__(self, half: Half) -> None:
        self._iv, self._mask = half.iv[:4], int.from_bytes(half.iv[4:])
        self._explicit = len(half.iv) < _NONCE
        self._body = HEADER + _EXPLICIT if self._explicit else HEADER
        self._overhead = self._body + _TAG


class Sealing(_Direction):
    """What this end writes."""

    def __init__(self, half: Half, used: Sequence[bytes]) -> None:
        """Go on after `used`, the records that the handshake wrote under the same key."""
        super().__init__(half)
        self._encrypt = half.aead.encrypt
        self._next = _after(used, explicit=self._explicit)
        self._end = self._next + MAX_SEALED

    def seal(self, data: bytes, segment: int, kind: int = APPLICATION_DATA) -> Burst:
        """The records of a burst of packets, one for each. ValueError when one is too large, or KeysSpentError."""
        size = len(data)
        segment = min(segment, size)
        count = -(-size // segment)
        first, start = self._next, bytes((kind,)) + VERSION
        if segment > MAX_PACKET:
            raise ValueError("a packet is larger than a record may be")
        if first + count > self._end:
            raise KeysSpentError("the keys of the link are used up")
        self._next = first + count  # before anything is sealed: no failure may bring a nonce back
        if count == 1:
            return self._one(first, data, start), segment + self._overhead
        row = size // segment if size >= ROW * segment else 0
        pieces = self._row(first, data, segment, row, start) if row else []
        for this in range(first + row, first + count):
            place = (this - first) * segment
            pieces.append(self._one(this, data[place : place + segment], start))
        return b"".join(pieces), segment + self._overhead

    def _one(self, this: int, packet: bytes, start: bytes) -> bytes:
        """One packet as a record."""
        size, sequence, nonce = len(packet), this.to_bytes(8), (this ^ self._mask).to_bytes(8)
        head = start + sequence + (size + self._overhead - HEADER).to_bytes(2)
        sealed = self._encrypt(self._iv + nonce, packet, sequence + start + size.to_bytes(2))
        return head + nonce + sealed if self._explicit else head + sealed

    def _row(self, first: int, data: bytes, size: int, count: int, start: bytes) -> list[bytes]:
        """The first packets of `data`, all of one size: their heads and bodies in turn."""
        iv, length, tail = self._iv, (size + self._overhead - HEADER).to_bytes(2), start + size.to_bytes(2)
        sequences = nonces = _columns(range(first, first + count))
        if self._mask:
            nonces = _columns([this ^ self._mask for this in range(first, first + count)])
        packets = struct.unpack_from(f"{size}s" * count, data)
        pieces: list[bytes] = [b""] * (2 * count)
        if self._explicit:
            pieces[0::2] = [start + sequence + length + sequence for sequence in sequences]
        else:
            pieces[0::2] = [start + sequence + length for sequence in sequences]
        additional = [sequence + tail for sequence in sequences]
        pieces[1::2] = map(self._encrypt, [iv + nonce for nonce in nonces], packets, additional)
        return pieces


class Opening(_Direction):
    """What the other end wrote."""

    def __init__(self, half: Half) -> None:
        super().__init__(half)
        self._decrypt = half.aead.decrypt
        self._window = ReplayWindow(EPOCH - 1)
        self._forged = 0

    def open(self, data: bytes, segment: int) -> Burst | None:
        """The packets of records of one type and size, the last of which may be shorter; None when there are none.

        What is not authentic, was here before or is empty is left out. KeysSpentError when too much was not authentic.
        That their headers tell the truth about their types and sizes has been seen by who cut them (`is_uniform`).
        """
        size, pieces, place = segment - self._overhead, [], 0
        row = len(data) // segment
        if row >= ROW and size > 0:
            pieces = self._row(data, segment, row)
            place = row * segment if pieces else 0
        for begin in range(place, len(data), segment):
            packet = self._one(data, begin, min(begin + segment, len(data)))
            if packet:
                pieces.append(packet)
        if self._forged > MAX_FORGED:
            raise KeysSpentError("too many records were forged")
        return (b"".join(pieces), size) if pieces else None

    def _one(self, data: bytes, begin: int, end: int) -> bytes:
        """The packet of the record between those places, or nothing."""
        sequence, body = data[begin + 3 : begin + 11], begin + self._body
        this = int.from_bytes(sequence)
        size = end - begin - self._overhead
        if size < 0 or not self._window.is_new(this):
            return b""
        nonce = data[begin + HEADER : body] if self._explicit else (this ^ self._mask).to_bytes(8)
        try:
            packet = self._decrypt(
                self._iv + nonce, data[body:end], sequence + data[begin : begin + 3] + size.to_bytes(2)
            )
        except InvalidTag:
            self._forged += 1
            return b""
        self._window.note(this)
        return packet

    def _row(self, data: bytes, segment: int, count: int) -> list[bytes]:
        """The packets of the first records, when all are new, in a row and authentic; otherwise none."""
        records = struct.iter_unpack(self._shape(segment), memoryview(data)[: count * segment])
        sequences, *nonces, bodies = zip(*records, strict=True)
        first = int.from_bytes(sequences[0])
        if first <= self._window.newest or first + count > _NUMBERS:
            return []
        if sequences != _columns(range(first, first + count)):
            return []
        if not self._explicit:
            nonces = [_columns([this ^ self._mask for this in range(first, first + count)])]
        iv, tail = self._iv, data[:3] + (segment - self._overhead).to_bytes(2)
        additional = [sequence + tail for sequence in sequences]
        try:
            packets = list(map(self._decrypt, [iv + nonce for nonce in nonces[0]], bodies, additional))
        except InvalidTag:
            return []
        self._window.note(first, count)
        return packets

    def _shape(self, segment: int) -> str:
        """A record's sequence number, explicit nonce if there is one, and body."""
        return f"3x8s2x{_EXPLICIT}s{segment - self._body}s" if self._explicit else f"3x8s2x{segment - self._body}s"


def _columns(numbers: Sequence[int]) -> tuple[bytes, ...]:
    """Numbers as they stand in records. None of them is beyond 64 bits."""
    return struct.unpack("8s" * len(numbers), struct.pack(f">{len(numbers)}Q", *numbers))


def _after(used: Sequence[bytes], *, explicit: bool) -> int:
    """A number behind all of those records: behind their nonces too, which OpenSSL counts from anywhere."""
    numbers = [number(record) for record in used]
    if explicit:
        nonces = (int.from_bytes(record[HEADER : HEADER + _EXPLICIT]) for record in used)
        numbers += [nonce for nonce in nonces if EPOCH <= nonce < EPOCH + 4 * MAX_SEALED]
    return max(numbers, default=EPOCH - 1) + 1
