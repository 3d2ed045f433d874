from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.stun.library import make_integrity_key
from atmosphere.stun.message import (
    MAX_ATTRIBUTES,
    MAX_SIZE,
    Class,
    Message,
    Method,
    binding_request,
    binding_response,
    decode,
    encode,
    error_response,
    is_stun,
    mapped_address,
)

# RFC 5769 §2.1–2.4, byte for byte.
REQUEST = bytes.fromhex(
    "00010058 2112a442 b7e7a701 bc34d686 fa87dfae"
    "80220010 5354554e 20746573 7420636c 69656e74"
    "00240004 6e0001ff 80290008 932ff9b1 51263b36"
    "00060009 6576746a 3a683676 59202020"
    "00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf"
)
RESPONSE_IPV4 = bytes.fromhex(
    "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643"
    "00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96"
)
RESPONSE_IPV6 = bytes.fromhex(
    "01010048 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"
    "00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c"
)
LONG_TERM = bytes.fromhex(
    "00010060 2112a442 78ad3433 c6ad72c0 29da412e"
    "00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000"
    "0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341"
    "0014000b 6578616d 706c652e 6f726700 00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666"
)
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"


def raw(attributes: bytes, *, kind: int = 0x0001) -> bytes:
    """A message with these attribute bytes, its length right."""
    return struct.pack("!HHI12s", kind, len(attributes), 0x2112A442, b"transaction!") + attributes


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def test_rfc5769_request() -> None:
    message = decode(REQUEST)
    assert (message.message_method, message.message_class) == (Method.BINDING, Class.REQUEST)
    assert message.attributes["USERNAME"] == "evtj:h6vY"
    assert message.attributes["PRIORITY"] == 0x6E0001FF
    assert message.attributes["ICE-CONTROLLED"] == 0x932FF9B151263B36
    assert message.check_message_integrity(PASSWORD)
    assert not message.check_message_integrity(PASSWORD + b"x")
    assert message.signed


@pytest.mark.parametrize(
    ("data", "address"), [(RESPONSE_IPV4, "192.0.2.1"), (RESPONSE_IPV6, "2001:db8:1234:5678:11:2233:4455:6677")]
)
def test_rfc5769_responses(data: bytes, address: str) -> None:
    message = decode(data)
    assert mapped_address(message) == (address, 32853)
    assert message.attributes["SOFTWARE"] == "test vector"
    assert message.check_message_integrity(PASSWORD)


def test_rfc5769_long_term() -> None:
    message = decode(LONG_TERM)
    key = make_integrity_key(message.attributes["USERNAME"], message.attributes["REALM"], "TheMatrIX")
    assert message.attributes["USERNAME"] == "マトリックス"
    assert message.check_message_integrity(key)


@pytest.mark.parametrize("index", range(20, len(REQUEST) - 8))
def test_any_changed_byte_is_noticed(index: int) -> None:
    changed = bytearray(REQUEST)
    changed[index] ^= 0x01
    with pytest.raises(DecodeError):
        decode(bytes(changed))


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    try:
        decode(data)
    except DecodeError:
        return
    assert is_stun(data)


KINDS = st.one_of(st.integers(0, 0xFFFF), st.integers(0, 0x30), st.integers(0x8000, 0x8030), st.just(0xC001))


@given(
    st.lists(st.tuples(KINDS, st.binary(max_size=40)), max_size=12),
    st.sampled_from([0x0001, 0x0101, 0x0111, 0x0003, 0x0017, 0x0010, 0x02EF]),
    st.integers(0, 8),
)
def test_arbitrary_attributes(parts: list[tuple[int, bytes]], kind: int, cut: int) -> None:
    body = b"".join(attribute(*part) for part in parts)
    try:
        message = decode(raw(body[: len(body) - cut], kind=kind))
    except DecodeError:
        return
    assert isinstance(message, Message)


ADDRESSES = st.tuples(st.ip_addresses().map(str), st.integers(0, 0xFFFF))
U32 = st.integers(0, 0xFFFFFFFF)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "USERNAME": st.text(max_size=60),
        "PRIORITY": U32,
        "USE-CANDIDATE": st.none(),
        "ICE-CONTROLLING": st.integers(0, 2**64 - 1),
        "NOMINATION": U32,
        "XOR-MAPPED-ADDRESS": ADDRESSES,
        "OTHER-ADDRESS": ADDRESSES,
        "ERROR-CODE": st.tuples(st.integers(300, 699), st.text(max_size=20)),
        "SOFTWARE": st.text(max_size=20),
        "UNKNOWN-ATTRIBUTES": st.lists(st.integers(0, 0x7FFF), max_size=5).map(tuple),
        "RESPONSE-PORT": st.integers(0, 0xFFFF),
    },
)


@given(ATTRIBUTES, st.sampled_from(list(Class)), st.booleans())
def test_what_is_encoded_is_decoded(attributes: dict[str, Any], kind: Class, sign: bool) -> None:
    message = Message(Method.BINDING, kind, attributes=attributes)
    if sign:
        message.add_message_integrity(b"key")
    again = decode(encode(message))
    assert again.attributes == message.attributes
    assert again.transaction_id == message.transaction_id
    assert again.signed == sign
    assert again.check_message_integrity(b"key") == sign


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("an attribute that overruns the message", struct.pack("!HH", 0x0006, 8) + b"abcd"),
        ("an attribute header cut short", attribute(0x0025, b"") + b"\0\x06"),
        ("a priority of three bytes", attribute(0x0024, b"abc")),
        ("USE-CANDIDATE with a value", attribute(0x0025, b"abcd")),
        ("a tie-breaker of four bytes", attribute(0x8029, b"abcd")),
        ("an address of neither family", attribute(0x0020, b"\0\x03" + bytes(6))),
        ("an IPv4 address of IPv6's size", attribute(0x0020, b"\0\x01" + bytes(18))),
        ("a username that is not UTF-8", attribute(0x0006, b"\xff\xfe")),
        ("a username too long", attribute(0x0006, b"u" * 513)),
        ("a reason that is not UTF-8", attribute(0x0009, b"\0\0\x04\x00\xff")),
        ("a short error code", attribute(0x0009, b"\0\0")),
        ("a short signature", attribute(0x0008, bytes(19))),
        ("a wrong fingerprint", attribute(0x8028, bytes(4))),
        ("too many attributes", attribute(0x8123, b"") * (MAX_ATTRIBUTES + 1)),
        ("too large", attribute(0x8123, bytes(MAX_SIZE))),
    ],
)
def test_malformed(name: str, body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(raw(body))


def test_an_unknown_method() -> None:
    with pytest.raises(DecodeError, match="unknown type"):
        decode(raw(b"", kind=0x02EF))


def test_larger_messages_are_the_callers_choice() -> None:
    data = raw(attribute(0x0013, bytes(4000)), kind=0x0017)
    assert decode(data, max_size=5000).attributes["DATA"] == bytes(4000)


def test_nothing_follows_the_fingerprint() -> None:
    message = binding_request()
    message.add_fingerprint()
    data = bytearray(encode(message) + attribute(0x8123, b""))
    data[2:4] = (len(data) - 20).to_bytes(2)
    with pytest.raises(DecodeError, match="after FINGERPRINT"):
        decode(bytes(data))


def test_the_first_of_two_counts() -> None:
    message = decode(raw(attribute(0x0024, bytes(4)) + attribute(0x0024, b"\xff" * 4)))
    assert message.attributes == {"PRIORITY": 0}


def test_what_follows_the_signature_is_ignored() -> None:
    message = decode(raw(attribute(0x0008, bytes(20)) + attribute(0x0025, b"")))
    assert list(message.attributes) == ["MESSAGE-INTEGRITY"]


def test_unknown_attributes_are_listed_when_they_must_be_understood() -> None:
    message = decode(raw(attribute(0x7001, b"x") + attribute(0x9001, b"y")))
    assert message.unknown == (0x7001,)
    assert message.attributes == {}


@pytest.mark.parametrize("data", [b"", b"\0" * 20, b"\x40\0\0\0" + REQUEST, REQUEST[:-1], REQUEST + b"\0\0\0\0"])
def test_what_is_not_stun(data: bytes) -> None:
    assert not is_stun(data)
    with pytest.raises(DecodeError, match="not a STUN message"):
        decode(data)


def test_answers() -> None:
    request = binding_request({"PRIORITY": 1})
    answer = decode(encode(binding_response(request, ("198.51.100.1", 7777))))
    assert answer.message_class is Class.RESPONSE
    assert answer.transaction_id == request.transaction_id
    assert mapped_address(answer) == ("198.51.100.1", 7777)
    refusal = decode(encode(error_response(request, 420, "Unknown Attribute", {"UNKNOWN-ATTRIBUTES": (3,)})))
    assert refusal.error_code == 420
    assert refusal.attributes["UNKNOWN-ATTRIBUTES"] == (3,)
    assert mapped_address(refusal) is None


def test_an_old_servers_answer() -> None:
    message = Message(Method.BINDING, Class.RESPONSE, attributes={"MAPPED-ADDRESS": ("203.0.113.9", 1)})
    assert mapped_address(decode(encode(message))) == ("203.0.113.9", 1)
