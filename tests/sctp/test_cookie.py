from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.sctp import cookie
from atmosphere.sctp.cookie import Cookie
from atmosphere.sctp.parameters import Features

KEY = bytes(16)
MADE = Cookie(1, 2, 3, 4, 5, 6, Features(True, False, True, False), 12.5)


def test_our_own_comes_back() -> None:
    assert cookie.decode(MADE.encode(KEY), KEY) == MADE


@given(st.integers(0, 68), st.integers(1, 255))
def test_a_changed_one_does_not(place: int, change: int) -> None:
    data = bytearray(MADE.encode(KEY))
    data[place % len(data)] ^= change
    assert cookie.decode(bytes(data), KEY) is None


@given(st.binary(max_size=100))
def test_nor_does_anybody_elses(data: bytes) -> None:
    assert cookie.decode(data, KEY) is None
    assert cookie.decode(MADE.encode(b"another key......"), KEY) is None
