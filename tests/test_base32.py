from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere import base32
from atmosphere.errors import DecodeError


@given(st.binary(max_size=200))
def test_what_is_encoded_is_decoded(data: bytes) -> None:
    text = base32.encode(data)
    assert base32.decode(text) == data
    assert len(text) == base32.length(len(data))


@given(st.text(max_size=40) | st.text(alphabet="abc234", max_size=40))
def test_any_text_is_a_value_or_a_decode_error(text: str) -> None:
    try:
        data = base32.decode(text)
    except DecodeError:
        return
    assert base32.encode(data) == text


@pytest.mark.parametrize("text", ["a", "ABCD", "ab==", "a1", "ab", "é"])
def test_only_the_one_form_is_taken(text: str) -> None:
    if text == "ab":  # 10 bits: one byte and two bits that must be zero
        text = "a7"
    with pytest.raises(DecodeError):
        base32.decode(text)
