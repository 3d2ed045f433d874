from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.names import MAX_BYTES, clean_name, is_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("laptop", "laptop"),
        ("  Tom's\t laptop\n", "Tom's laptop"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a/b\\c:d@e", "a-b-c-d-e"),
        ("e\u0301", "é"),
        ("\u202elaptop\u200b", "laptop"),
        ("é" * 40, "é" * 31),
        ("日本の机", "日本の机"),
        ("\udc80", ""),
        ("", ""),
    ],
)
def test_cleaning(text: str, name: str) -> None:
    assert clean_name(text) == name
    assert is_name(text) == (text == name != "")


@given(st.text(max_size=100))
def test_a_clean_name_is_a_name(text: str) -> None:
    name = clean_name(text)
    assert len(name.encode()) <= MAX_BYTES
    assert name == "" or is_name(name)
