from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import DecodeError
from signaling.mqtt.sieve import MAX_OTHER, MAX_PUBLISH, Sieve
from tests.signaling.broker import packet

PONG = packet(13, b"")


def publish(size: int) -> bytes:
    return packet(3, bytes(size))


def test_what_is_ordinary_passes() -> None:
    data = packet(2, bytes(3)) + publish(10) + PONG + publish(MAX_PUBLISH) + publish(0)
    sieve = Sieve(0.0)
    assert sieve.feed(data, 0.0) == data
    assert sieve.dropped == 0


def test_what_is_too_long_disappears_whole() -> None:
    sieve = Sieve(0.0)
    assert sieve.feed(publish(10) + publish(MAX_PUBLISH + 1) + PONG, 0.0) == publish(10) + PONG
    assert sieve.dropped == 1


def test_a_message_of_256_mb_is_never_kept() -> None:
    sieve = Sieve(0.0)
    assert sieve.feed(b"\x30\xff\xff\xff\x7f", 0.0) == b""
    for _ in range(16):
        assert sieve.feed(bytes(1 << 20), 0.0) == b""


def test_what_is_too_much_disappears_and_answers_pass() -> None:
    sieve = Sieve(0.0, rate=1, burst=2)
    assert sieve.feed((publish(5) + PONG) * 4, 0.0) == publish(5) + PONG + publish(5) + PONG * 3
    assert sieve.dropped == 2
    assert sieve.feed(publish(5), 1.0) == publish(5)


@pytest.mark.parametrize(
    "data", [b"\x30\xff\xff\xff\xff\x01", b"\xd0\x80\x80\x80\x80", packet(9, bytes(MAX_OTHER + 1))]
)
def test_what_is_no_mqtt_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Sieve(0.0).feed(data, 0.0)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_pass_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert len(Sieve(0.0).feed(data, 0.0)) <= len(data)


@given(st.lists(st.builds(packet, st.sampled_from([2, 3, 4, 9, 13]), st.binary(max_size=200)), max_size=8), st.data())
def test_byte_by_byte_is_the_same_as_whole(packets: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(packets)
    one, other = (Sieve(0.0, rate=1, burst=3) for _ in range(2))
    pieces, at = [], 0
    while at < len(whole):
        size = data.draw(st.integers(1, 40))
        pieces.append(one.feed(whole[at : at + size], 0.0))
        at += size
    assert b"".join(pieces) == other.feed(whole, 0.0)
