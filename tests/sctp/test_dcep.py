from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.sctp import dcep
from atmosphere.sctp.interface import ChannelOptions

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
limits = st.one_of(st.none(), st.integers(0, 2**32 - 1))
options = st.builds(ChannelOptions, names, names, st.booleans(), limits, st.none(), st.integers(0, 65535)) | st.builds(
    ChannelOptions, names, names, st.booleans(), st.none(), limits
)


@given(options)
def test_what_is_encoded_is_decoded(channel: ChannelOptions) -> None:
    assert dcep.decode_open(dcep.encode_open(channel)) == channel


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda data: b"\x03" + data))
def test_any_bytes_are_a_channel_or_an_error(data: bytes) -> None:
    try:
        assert isinstance(dcep.decode_open(data), ChannelOptions)
    except DecodeError:
        pass


def test_the_bytes_of_the_rfc() -> None:
    encoded = dcep.encode_open(ChannelOptions("é", "p", ordered=False, max_retransmits=7))
    assert encoded == b"\x03\x81\x01\0\0\0\0\x07\0\x02\0\x01\xc3\xa9p"
    assert dcep.is_ack(b"\x02") and not dcep.is_ack(encoded) and not dcep.is_ack(b"")


@pytest.mark.parametrize(
    "channel",
    [
        ChannelOptions("x" * 1025),
        ChannelOptions(protocol="x" * 1025),
        ChannelOptions(max_retransmits=1, max_lifetime_ms=1),
        ChannelOptions(max_retransmits=-1),
        ChannelOptions(priority=65536),
    ],
)
def test_impossible_channels(channel: ChannelOptions) -> None:
    with pytest.raises(ValueError, match=r"."):
        dcep.encode_open(channel)


@pytest.mark.parametrize(
    "data",
    [
        b"\x03\x00",
        b"\x02" * 12,
        b"\x03\x03" + bytes(10),
        b"\x03\x00" + bytes(6) + b"\0\x01\0\0",
        b"\x03\x00" + bytes(6) + b"\0\x01\0\0\xff",
        b"\x03\x00" + bytes(6) + b"\x08\0\0\0" + b"x" * 2048,
    ],
)
def test_what_is_no_channel(data: bytes) -> None:
    with pytest.raises(DecodeError):
        dcep.decode_open(data)
