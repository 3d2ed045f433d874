from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling import DecodeError
from signaling.cluster import wire as cluster_wire
from signaling.cluster.wire import (
    MAX_FRAME,
    PROTOCOL,
    AnyEvent,
    Ask,
    Beat,
    Bye,
    Frame,
    Full,
    Gone,
    Have,
    Here,
    Interest,
    Keep,
    Left,
    Published,
    Roster,
    Used,
    decode_frame,
    encode_frame,
    weight,
)

NODES = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=52, max_size=52)
NAMES = st.text(min_size=1, max_size=64)
INSTANCES = st.text("0123456789abcdef", min_size=16, max_size=16)
PAYLOADS = st.text("ABCD0123+/=", max_size=200)
STAMPS = st.integers(0, 2**62)
COUNTS = st.integers(0, 2**31)
EVENTS: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(Keep, NODES, NODES, NAMES, PAYLOADS, st.floats(0, 120), st.lists(INSTANCES, max_size=3)),
    st.builds(Have, NODES, NODES, NAMES, st.booleans()),
    st.builds(Full, NODES, NODES, NAMES),
    st.builds(Gone, NODES, NODES, NAMES),
    st.builds(Here, NODES, STAMPS),
    st.builds(Left, NODES, STAMPS),
    st.builds(Interest, NAMES, COUNTS),
    st.builds(Published, NAMES, NODES, NAMES, PAYLOADS),
    st.builds(Used, NAMES.filter(lambda name: len(name) <= 32), st.dictionaries(NAMES, st.floats(0, 1e9), max_size=3)),
    st.builds(
        Roster,
        st.booleans(),
        st.booleans(),
        st.lists(st.tuples(NODES, STAMPS), max_size=3),
        st.lists(st.tuples(NAMES, COUNTS), max_size=3),
    ),
    st.sampled_from([Ask(), Beat(), Bye()]),
)
FRAMES = st.builds(Frame, st.just(PROTOCOL), INSTANCES, STAMPS, st.lists(EVENTS, max_size=5))


@given(FRAMES)
def test_what_is_encoded_is_decoded(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@given(EVENTS)
def test_an_event_is_not_longer_than_its_weight(event: AnyEvent) -> None:
    alone, beside = (len(encode_frame(Frame(PROTOCOL, "i" * 16, 1, [*events]))) for events in ([], [event]))
    assert beside - alone <= weight(event)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_an_error(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except DecodeError:
        return
    assert isinstance(frame, Frame)


@given(FRAMES, st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_damaged_frame_is_a_frame_or_an_error(frame: Frame, at: int, noise: bytes) -> None:
    data = bytearray(encode_frame(frame))
    at %= len(data)
    data[at : at + len(noise)] = noise
    try:
        decode_frame(bytes(data))
    except DecodeError:
        return


@pytest.mark.parametrize(
    "frame",
    [
        [2, "i" * 16, 1, []],
        [1, "short", 1, []],
        [1, "i" * 16, -1, []],
        [1, "i" * 16, 1, [[99]]],
        [1, "i" * 16, 1, [[5, "node", 1]]],
        [1, "i" * 16, 1, [[1, "a" * 52, "b" * 52, "m", "A" * 13_000, 1.0, []]]],
        [1, "i" * 16, 1, [[1, "a" * 52, "b" * 52, "m", "A", 1e6, []]]],
        [1, "i" * 16, 1, [[9, "messages", {str(number): 1.0 for number in range(300)}]]],
        [1, "i" * 16, 1, [[12]] * 5000],
        "frame",
    ],
)
def test_what_is_out_of_bounds_is_refused(frame: object) -> None:
    with pytest.raises(DecodeError):
        decode_frame(msgspec.msgpack.encode(frame))


def test_a_frame_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="at most"):
        decode_frame(bytes(MAX_FRAME + 1))


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode_frame(b"\x91" * 100_000)


def test_every_event_is_described() -> None:
    assert cluster_wire.__doc__
    for kind in AnyEvent.__args__:
        assert f" {kind.__name__} " in cluster_wire.__doc__
