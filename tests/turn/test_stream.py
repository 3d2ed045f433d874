"""atmosphere.turn.stream."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.stun.message import binding_request, encode
from atmosphere.turn.stream import MAX_MESSAGE, Deframer, pad, split


def channel_data(payload: bytes) -> bytes:
    return pad(b"\x40\x00" + len(payload).to_bytes(2) + payload)


@given(st.lists(st.binary(max_size=50).map(channel_data) | st.builds(lambda: encode(binding_request())), max_size=5))
def test_byte_by_byte_is_the_same_as_whole(messages: list[bytes]) -> None:
    stream = b"".join(messages)
    assert Deframer().feed(stream) == messages
    slowly = Deframer()
    assert [message for index in range(len(stream)) for message in slowly.feed(stream[index : index + 1])] == messages
    assert len(slowly) == 0


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_give_messages_or_a_decode_error_and_bounded_memory(chunks: list[bytes]) -> None:
    deframer = Deframer()
    for chunk in chunks:
        try:
            deframer.feed(chunk)
        except DecodeError:
            return
        assert len(deframer) < MAX_MESSAGE + 3


@pytest.mark.parametrize("junk", [b"SSH-2.0", b"\x80abc", b"\xffabc", b"\x01\x01\x00\x03", b"\x01\x01\x00\x04\x00"])
def test_what_is_not_turn_ends_the_stream(junk: bytes) -> None:
    with pytest.raises(DecodeError):
        Deframer().feed(junk)


def test_padding() -> None:
    assert [len(pad(bytes(size))) for size in range(6)] == [0, 4, 4, 4, 4, 8]


@given(st.lists(st.binary(max_size=50).map(channel_data) | st.builds(lambda: encode(binding_request())), max_size=5))
def test_a_frame_holds_whole_messages(messages: list[bytes]) -> None:
    frame = b"".join(messages)
    assert split(frame) == messages
    for end in range(len(frame)):
        try:
            assert b"".join(split(frame[:end])) == frame[:end]
        except DecodeError:
            continue


@given(st.binary(max_size=300))
def test_any_frame_gives_messages_or_a_decode_error(frame: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert b"".join(split(frame)) == frame
