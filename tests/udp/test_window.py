from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.udp.window import MAX_SHAPES, Window


@given(st.binary(max_size=60), st.integers(1, 20), st.data())
def test_cutting_is_slicing(data: bytes, segment: int, draw: st.DataObject) -> None:
    skip = draw.draw(st.integers(0, segment))
    length = draw.draw(st.integers(0, segment - skip))
    starts = range(0, max(len(data), 1), segment)
    expected = [data[start + skip : start + skip + length] for start in starts]
    assert [bytes(part) for part in Window(data).cut(len(data), segment, skip, length)] == expected


def test_the_same_shape_is_cut_once_and_sees_what_was_read_last() -> None:
    window = Window()
    assert isinstance(window.buffer, bytearray)
    window.buffer[:6] = b"abcdef"
    first = window.cut(6, 2)
    window.buffer[:6] = b"ABCDEF"
    assert window.cut(6, 2) is first
    assert [bytes(part) for part in first] == [b"AB", b"CD", b"EF"]
    assert [bytes(part) for part in window.cut(5, 2)] == [b"AB", b"CD", b"E"]


def test_shapes_are_bounded() -> None:
    window = Window()
    for size in range(1, 3 * MAX_SHAPES):
        window.cut(size, 100)
    assert len(window._shapes) <= MAX_SHAPES


def test_an_empty_datagram_is_one() -> None:
    assert [bytes(part) for part in Window(b"").cut(0, 0)] == [b""]


def test_columns() -> None:
    window = Window(b"aXbXcXd")
    assert window.column(0, 7, 2) == b"abc"
    assert window.column(1, 7, 2) == b"XXX"
