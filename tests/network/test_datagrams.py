from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.network.datagrams import MAX_PAYLOAD, WINDOW, Datagram, Kind, ReplayWindow, decode, encode

KEY = b"0123456789abcdef"
DATAGRAMS = st.builds(
    Datagram,
    st.sampled_from(Kind),
    st.binary(min_size=8, max_size=8),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=8, max_size=8),
    st.binary(max_size=MAX_PAYLOAD),
)


@given(DATAGRAMS, st.sampled_from([None, KEY]))
def test_what_is_encoded_is_decoded(datagram: Datagram, key: bytes | None) -> None:
    assert decode(encode(datagram, key), key) == datagram


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(lambda rest: b"\xf1AP" + rest)))
def test_arbitrary_bytes(data: bytes) -> None:
    for key in (None, KEY):
        try:
            decode(data, key)
        except DecodeError:
            continue


@given(DATAGRAMS, st.data())
def test_any_changed_byte_is_noticed(datagram: Datagram, data: st.DataObject) -> None:
    changed = bytearray(encode(datagram, KEY))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1
    with pytest.raises(DecodeError):
        decode(bytes(changed), KEY)


def test_an_unsigned_datagram_is_nothing_with_a_key() -> None:
    probe = Datagram(Kind.PROBE, b"12345678", 1)
    for data in (encode(probe, None), encode(probe, b"another key.....")):
        with pytest.raises(DecodeError, match="not signed"):
            decode(data, KEY)


def test_too_large() -> None:
    with pytest.raises(DecodeError):
        decode(encode(Datagram(Kind.DATA, bytes(8), 1, bytes(8), bytes(MAX_PAYLOAD + 17)), None), None)


@given(st.lists(st.integers(0, 200), max_size=100))
def test_a_number_passes_once(numbers: list[int]) -> None:
    window, passed, highest = ReplayWindow(), set(), -1
    for number in numbers:
        accepted = window.accept(number)
        assert accepted == (number not in passed and number > highest - WINDOW)
        highest = max(highest, number)
        if accepted:
            passed.add(number)
