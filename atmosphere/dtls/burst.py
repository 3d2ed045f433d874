"""Bursts of DTLS records: many packets sealed or opened in one go, by OpenSSL's own record layer.

pyOpenSSL's `send` and `recv` cost 4 µs a record, most of it in making buffers; here a burst goes into one memory BIO
and comes out of it as one buffer. The names of pyOpenSSL that this needs are private; a test pins them.
"""

from __future__ import annotations

from OpenSSL import SSL

from atmosphere.dtls.records import APPLICATION_DATA, HEADER

Burst = tuple[bytes, int]
"""Packets end to end, and the size of each but the last, which may be shorter."""

AT_ONCE = 16384
"""Bytes that OpenSSL reads out of a memory BIO at once; what is beyond is cut, so no more is put in at once."""
MAX_PACKET = 16384
OVERHEAD = 64
"""What a record adds to a packet, at most."""

_DATA = bytes((APPLICATION_DATA, 0xFE, 0xFD))
"""How a record of data begins, in DTLS 1.2."""

_lib, _ffi = SSL._lib, SSL._ffi  # type: ignore[attr-defined]
_buffer = _ffi.new_allocator(should_clear_after_alloc=False)


def is_uniform(data: bytes, segment: int) -> bool:
    """Whether every datagram of a burst is just one record of application data, so that none hides another."""
    if segment <= HEADER:
        return False
    if len(data) == segment:
        return data[:3] == _DATA and int.from_bytes(data[11:13]) == segment - HEADER
    count, last = divmod(len(data), segment)
    length = (segment - HEADER).to_bytes(2)
    whole = data[: count * segment]
    return (
        whole[0::segment] == bytes((APPLICATION_DATA,)) * count
        and whole[1::segment] == b"\xfe" * count
        and whole[2::segment] == b"\xfd" * count
        and whole[11::segment] == length[:1] * count
        and whole[12::segment] == length[1:] * count
        and (
            not last
            or (
                last > HEADER
                and data[-last : 3 - last] == _DATA
                and data[11 - last : 13 - last] == (last - HEADER).to_bytes(2)
            )
        )
    )


def seal(connection: SSL.Connection, data: bytes, segment: int) -> Burst:
    """The records of a burst of packets. SSL.Error when OpenSSL takes one not."""
    ssl, start, size = connection._ssl, _ffi.from_buffer(data), len(data)
    count = -(-size // segment)
    write, whole = _lib.SSL_write, size - size % segment
    taken = 0
    for place in range(0, whole, segment):
        taken += write(ssl, start + place, segment)
    if whole < size:
        taken += write(ssl, start + whole, size - whole)
    if taken != size:
        _lib.ERR_clear_error()
        raise SSL.Error("a record was not taken")
    sealed = connection.bio_read(size + count * OVERHEAD)
    return sealed, segment + (len(sealed) - size) // count


def open_all(connection: SSL.Connection, data: bytes, segment: int) -> list[Burst]:
    """The packets of a burst of records, as `is_uniform` says that they are; what is not authentic is left out."""
    ssl, start, size = connection._ssl, _ffi.from_buffer(data), len(data)
    plain = _buffer("char[]", size + MAX_PACKET)
    piece = max(1, AT_ONCE // segment) * segment
    read, into, bio = _lib.SSL_read, _lib.BIO_write, connection._into_ssl
    lengths: list[int] = []
    end = 0
    for place in range(0, size, piece):
        given = min(piece, size - place)
        into(bio, start + place, given)
        for _ in range(-(-given // segment)):
            length = read(ssl, plain + end, MAX_PACKET)
            if length <= 0:  # one of them was not authentic, and OpenSSL has passed over it
                _lib.ERR_clear_error()
                break
            lengths.append(length)
            end += length
    return _bursts(bytes(_ffi.buffer(plain, end)), lengths)


def _bursts(data: bytes, lengths: list[int]) -> list[Burst]:
    """Packets of those lengths as bursts of one size, the last of each perhaps shorter."""
    if not lengths:
        return []
    first = lengths[0]
    if len(lengths) == 1 or (lengths.count(first) >= len(lengths) - 1 and lengths[-1] <= first):
        return [(data, first)]
    bursts, place = [], 0
    for length in lengths:
        bursts.append((data[place : place + length], length))
        place += length
    return bursts
