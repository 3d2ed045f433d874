from __future__ import annotations

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.mesh import wire

NODE = "a" * 52

MESSAGES: list[wire.Message] = [
    wire.Hello(wire.PROTOCOL, "ab" * 32, b"12345678", "0.1.0", [b"fact"]),
    wire.Redeem(wire.PROTOCOL, "ab" * 8, b"p" * 32, "laptop"),
    wire.Granted("home", b"r" * 32, [b"fact", b"other"]),
    wire.Denied("used", "the code was used"),
    wire.Digest(b"d" * 32),
    wire.Have([b"i" * 16]),
    wire.Facts([b"fact"]),
    wire.Contacts([b"contact"]),
    wire.Signal(NODE, NODE, b"sealed"),
    wire.Ping(7),
    wire.Pong(7),
    wire.Bye("stopped"),
    wire.Nat("address-and-port-dependent", "unknown", "sequential", -2, 40000, "203.0.113.7", 7777, False, True),
    wire.Punch("start", 7, "ufrag", "203.0.113.7", 7777, [40000, 39998], 256, 2000),
    wire.Punch("stop", 7, "ufrag", reason="both routers change ports"),
    wire.About("relay", False, "none"),
    wire.About(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_encoded_is_decoded(message: wire.Message) -> None:
    assert wire.decode(wire.encode(message)) == message


@given(st.binary(max_size=300))
def test_any_bytes_give_a_message_or_a_decode_error(data: bytes) -> None:
    try:
        wire.decode(data)
    except DecodeError:
        pass


@given(st.sampled_from(MESSAGES), st.data())
def test_a_mutated_message_is_a_message_or_a_decode_error(message: wire.Message, data: st.DataObject) -> None:
    encoded = bytearray(wire.encode(message))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        wire.decode(bytes(encoded))
    except DecodeError:
        pass


def test_deep_nesting_is_a_decode_error() -> None:
    with pytest.raises(DecodeError):
        wire.decode(b"\x91" * 100_000 + b"\xc0")


def test_text_is_not_a_control_message() -> None:
    with pytest.raises(DecodeError, match="binary"):
        wire.decode("hello")


def test_a_message_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="too long"):
        wire.decode(b"\xc0" * (wire.MAX_MESSAGE + 1))


@pytest.mark.parametrize(
    "message",
    [
        wire.Facts([b"x" * 2049]),
        wire.Facts([b"x"] * 65),
        wire.Signal("short", NODE, b""),
        wire.Denied("r" * 33, ""),
        wire.Hello(1, "m", b"short", "v", []),
    ],
)
def test_fields_beyond_their_limits_are_refused(message: wire.Message) -> None:
    with pytest.raises(DecodeError):
        wire.decode(wire.encode(message))


def test_fields_that_a_newer_version_appends_are_skipped() -> None:
    assert wire.decode(msgspec.msgpack.encode([9, 5, "something new"])) == wire.Ping(5)


def test_what_a_newer_version_says_is_unknown_and_no_error() -> None:
    assert wire.decode(msgspec.msgpack.encode([99, "news", {"more": [1]}])) == wire.Unknown(99)


def test_what_is_unknown_is_skipped_and_not_unpacked() -> None:
    said = msgspec.msgpack.encode([99, *([0] * (wire.MAX_MESSAGE - 16))])
    tracemalloc.start()
    try:
        assert wire.decode(said) == wire.Unknown(99)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("said", [[], ["99"], [None], {"99": 1}, 99, [9, "no number"]], ids=str)
def test_what_has_no_number_for_a_tag_is_an_error(said: object) -> None:
    with pytest.raises(DecodeError):
        wire.decode(msgspec.msgpack.encode(said))
