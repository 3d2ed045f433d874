from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.sctp import packet


@given(st.integers(0, 2**32 - 1), st.binary(min_size=4, max_size=50))
def test_a_packet_is_checked(tag: int, body: bytes) -> None:
    made = packet.seal(packet.head(tag), body)
    assert packet.tag_of(made, zero_checksum=False) == packet.tag_of(made, zero_checksum=True) == tag
    broken = made[:-1] + bytes((made[-1] ^ 1,))
    with pytest.raises(DecodeError, match="checksum"):
        packet.tag_of(broken, zero_checksum=True)


def test_none_is_enough_where_dtls_has_checked() -> None:
    made = packet.seal(packet.head(7), b"body", zero_checksum=True)
    assert packet.tag_of(made, zero_checksum=True) == 7
    with pytest.raises(DecodeError, match="checksum"):
        packet.tag_of(made, zero_checksum=False)
    assert packet.seal_all(made * 2 + made[:14], len(made)) == packet.seal(packet.head(7), b"body") * 2 + packet.seal(
        packet.head(7), b"bo"
    )


def test_the_checksum_is_the_one_of_the_rfc() -> None:
    """CRC32c of nothing but zeros, 32 of them, is known (RFC 3720 appendix B.4); so is where it goes."""
    made = packet.seal(bytes(8), bytes(20))
    assert made[8:12] == (0x8A9136AA).to_bytes(4, "little")


@pytest.mark.parametrize("size", range(16))
def test_what_is_too_short_is_refused(size: int) -> None:
    with pytest.raises(DecodeError, match="short"):
        packet.tag_of(bytes(size), zero_checksum=True)
