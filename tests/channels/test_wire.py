from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.channels import wire
from atmosphere.errors import DecodeError

ids = st.integers(0, 65535)
reasons = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
messages = (
    st.builds(wire.Grant, ids, st.integers(0, 2**64 - 1))
    | st.builds(wire.Blocked, ids)
    | st.builds(wire.Stop, ids)
    | st.builds(wire.Reset, ids, reasons)
)


@given(messages)
def test_what_is_encoded_is_decoded(message: wire.Control) -> None:
    assert wire.decode(wire.encode(message)) == message


@given(st.binary(max_size=20) | st.binary(max_size=300).map(lambda data: b"\x03\0\0" + data))
def test_any_bytes_are_a_message_or_nothing_or_an_error(data: bytes) -> None:
    try:
        message = wire.decode(data)
    except DecodeError:
        return
    assert message is None or wire.encode(message) == data


def test_the_bytes() -> None:
    assert wire.encode(wire.Grant(258, 3)) == b"\x01\x01\x02\0\0\0\0\0\0\0\x03"
    assert wire.encode(wire.Reset(1, "é")) == b"\x03\0\x01\xc3\xa9"
    assert wire.decode(b"\x09\0\0anything newer") is None


def test_a_long_reason_is_cut_between_characters() -> None:
    message = wire.decode(wire.encode(wire.Reset(1, "é" * 150 + "x")))
    assert message == wire.Reset(1, "é" * 100)


@pytest.mark.parametrize("data", [b"", b"\x01\0\0", b"\x02\0\0\0", b"\x03\0\0" + b"x" * 201, b"\x03\0\0\xff"])
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(DecodeError):
        wire.decode(data)
