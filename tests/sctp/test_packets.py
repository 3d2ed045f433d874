from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.sctp import library, packets


def chunk(kind: int, value: bytes, length: int | None = None) -> bytes:
    size = len(value) + 4 if length is None else length
    return struct.pack("!BBH", kind, 0, size) + value + bytes(-(len(value) + 4) % 4)


def packet(*chunks: bytes) -> bytes:
    return bytes(12) + b"".join(chunks)


INIT = bytes.fromhex("00000001 00100000 ffff ffff 00000001")
SACK = bytes.fromhex("00000001 00100000")
PARAMETER = b"\xc0\x00\x00\x04"


@pytest.mark.parametrize(
    "good",
    [
        packet(chunk(packets.DATA, bytes(13))),
        packet(chunk(packets.INIT, INIT)),
        packet(chunk(packets.INIT, INIT + PARAMETER)),
        packet(chunk(packets.SACK, SACK + b"\0\x01\0\x01" + b"\0\x01\0\x02" + bytes(4))),
        packet(chunk(packets.COOKIE_ECHO, b"cookie"), chunk(packets.DATA, bytes(14))),
        packet(chunk(packets.FORWARD_TSN, bytes(8))),
        packet(chunk(packets.RECONFIG, b"\0\x0d\0\x12" + bytes(14))),
        packet(chunk(99, b"whatever")),
    ],
)
def test_good_packets_pass(good: bytes) -> None:
    packets.check(good)


@pytest.mark.parametrize(
    "bad",
    [
        bytes(12),
        packet(b"\0\0\0"),
        packet(chunk(packets.DATA, bytes(13), 3)),
        packet(chunk(packets.DATA, bytes(13), 40)),
        packet(chunk(packets.DATA, bytes(12))),
        packet(chunk(packets.DATA, bytes(13)), b"\0"),
        packet(chunk(packets.INIT, INIT[:-1])),
        packet(chunk(packets.INIT, INIT + b"\0\0\0\0")),
        packet(chunk(packets.INIT, INIT + b"\0\0\0\x08")),
        packet(chunk(packets.INIT, INIT + b"\0\0")),
        packet(chunk(packets.INIT, INIT), chunk(packets.DATA, bytes(13))),
        packet(chunk(packets.SACK, SACK + b"\0\x01\0\0")),
        packet(chunk(packets.SACK, SACK + b"\0\x01\0\0" + b"\0\x02\0\x01")),
        packet(chunk(packets.SACK, SACK + b"\0\x01\0\0" + b"\0\0\0\x01")),
        packet(chunk(packets.SACK, SACK + b"\0\x02\0\0" + b"\0\x01\0\x05\0\x05\0\x06")),
        packet(chunk(packets.FORWARD_TSN, bytes(6))),
        packet(chunk(packets.RECONFIG, b"\0\x0d\0\x08" + bytes(4))),
        packet(chunk(packets.RECONFIG, b"\0\x0d\0\x11" + bytes(13))),
        packet(*[chunk(99, b"")] * (packets.MAX_CHUNKS + 1)),
    ],
)
def test_bad_packets_do_not(bad: bytes) -> None:
    with pytest.raises(DecodeError):
        packets.check(bad)


@given(
    st.lists(
        st.tuples(st.sampled_from([*range(12), 14, 130, 192, 255]), st.binary(max_size=40), st.integers(-2, 2)),
        max_size=4,
    )
)
def test_what_passes_can_be_parsed(chunks: list[tuple[int, bytes, int]]) -> None:
    data = packet(*(chunk(kind, value, max(0, len(value) + 4 + wrong)) for kind, value, wrong in chunks))
    try:
        packets.check(data)
    except DecodeError:
        return
    from google_crc32c import value as crc32c

    data = data[:8] + struct.pack("<L", crc32c(data)) + data[12:]
    _, _, _, parsed = library.parse_packet(data)
    assert len(parsed) <= len(chunks)


@given(st.binary(max_size=100))
def test_any_bytes_pass_or_are_refused(data: bytes) -> None:
    try:
        packets.check(data)
    except DecodeError:
        pass


def test_why_the_peer_aborted() -> None:
    assert packets.abort_reason([packets.abort_cause("gute Nacht, größe")]) == "gute Nacht, größe"
    assert packets.abort_reason([packets.abort_cause("bell\a")]) == "bell"
    assert packets.abort_reason([(13, b"violation")]) == ""
    assert len(packets.abort_cause("x" * 999)[1]) == 200
