"""atmosphere.ice.tcp_framing: datagrams there and back, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.ice.tcp_framing import MAX_FRAME, Deframer, frame

DATAGRAMS = st.lists(st.binary(min_size=1, max_size=600), max_size=8)


@given(DATAGRAMS, st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_there_and_back_in_any_pieces(datagrams: list[bytes], sizes: list[int]) -> None:
    stream, deframer, found, turn = b"".join(map(frame, datagrams)), Deframer(), list[bytes](), 0
    while stream:
        size = sizes[turn % len(sizes)]
        found += deframer.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert found == datagrams
    assert len(deframer) == 0


@given(st.binary(max_size=2000))
def test_any_bytes_are_frames_and_byte_by_byte_the_same(stream: bytes) -> None:
    whole, slow = Deframer(), Deframer()
    at_once = whole.feed(stream)
    assert [one for byte in stream for one in slow.feed(bytes((byte,)))] == at_once
    assert len(whole) == len(slow) <= MAX_FRAME + 2


def test_empty_frames_are_nothing() -> None:
    assert Deframer().feed(frame(b"") + frame(b"x") + frame(b"")) == [b"x"]


def test_a_frame_of_64_kb_is_the_longest() -> None:
    longest = bytes(MAX_FRAME)
    deframer = Deframer()
    assert deframer.feed(frame(longest)[:-1]) == []
    assert len(deframer) == MAX_FRAME + 1
    assert deframer.feed(b"\0") == [longest]
    with pytest.raises(OverflowError):
        frame(bytes(MAX_FRAME + 1))
