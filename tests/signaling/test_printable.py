from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.printable import MAX_TEXT, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wrong nonce: «ü»", "wrong nonce: «ü»"),
        ("bye\n2026 INFO forged", "bye?2026 INFO forged"),
        ("\x1b[2J\r\u2028\u202e\x00", "?[2J????"),
        ("x" * 1000, "x" * MAX_TEXT),
    ],
)
def test_what_a_stranger_says_stays_in_its_line(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_whatever_it_is_it_can_be_printed(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text[:MAX_TEXT])
