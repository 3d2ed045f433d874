from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.stun.integrity import sha256_code
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
from tests.stun.test_rfc5769 import REQUEST


def raw(attributes: bytes, *, kind: int = 0x0001) -> bytes:
    """A message with these attribute bytes, its length right."""
    return struct.pack("!HHI12s", kind, len(attributes), 0x2112A442, b"transaction!") + attributes


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


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


KINDS = st.one_of(
    st.integers(0, 0xFFFF), st.integers(0, 0x30), st.integers(0x8000, 0x8030), st.integers(0xC001, 0xC002)
)


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
ALGORITHM = st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20))
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "USERNAME": st.text(max_size=60),
        "PRIORITY": U32,
        "USE-CANDIDATE": st.none(),
        "ICE-CONTROLLING": st.integers(0, 2**64 - 1),
        "NOMINATION": U32,
        "DOUBT": U32,
        "XOR-MAPPED-ADDRESS": ADDRESSES,
        "OTHER-ADDRESS": ADDRESSES,
        "ERROR-CODE": st.tuples(st.integers(300, 699), st.text(max_size=20)),
        "SOFTWARE": st.text(max_size=20),
        "UNKNOWN-ATTRIBUTES": st.lists(st.integers(0, 0x7FFF), max_size=5).map(tuple),
        "RESPONSE-PORT": st.integers(0, 0xFFFF),
        "USERHASH": st.binary(min_size=32, max_size=32),
        "PASSWORD-ALGORITHM": ALGORITHM,
        "PASSWORD-ALGORITHMS": st.lists(ALGORITHM, max_size=4).map(tuple),
    },
)


@given(ATTRIBUTES, st.sampled_from(list(Class)), st.booleans(), st.booleans())
def test_what_is_encoded_is_decoded(attributes: dict[str, Any], kind: Class, sha1: bool, sha256: bool) -> None:
    message = Message(Method.BINDING, kind, attributes=attributes)
    if sha1:
        message.add_message_integrity(b"key")
    if sha256:
        message.add_message_integrity_sha256(b"key")
    again = decode(encode(message))
    assert again.attributes == message.attributes
    assert again.transaction_id == message.transaction_id
    assert (again.signed, again.signed_sha256) == (sha1, sha256)
    assert again.check_message_integrity(b"key") == sha1
    assert again.check_message_integrity_sha256(b"key") == sha256
    assert again.verify(b"key") == message.verify(b"key") == (sha1 or sha256)
    assert not again.verify(b"another")


@given(ATTRIBUTES, st.booleans(), st.data())
def test_any_flipped_bit_breaks_the_signature(attributes: dict[str, Any], sha256: bool, data: st.DataObject) -> None:
    message = binding_request(attributes)
    if sha256:
        message.add_message_integrity_sha256(b"key")
    else:
        message.add_message_integrity(b"key")
    flipped = bytearray(encode(message))
    bit = data.draw(st.integers(0, 8 * len(flipped) - 65))  # but for FINGERPRINT, which nothing covers
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        again = decode(bytes(flipped))
    except DecodeError:
        return
    assert not again.verify(b"key")


def test_the_better_signature_counts() -> None:
    message = binding_request({"PRIORITY": 1})
    message.add_message_integrity(b"key")
    message.add_message_integrity_sha256(b"another")
    again = decode(encode(message))
    assert list(again.attributes)[-3:] == ["MESSAGE-INTEGRITY", "MESSAGE-INTEGRITY-SHA256", "FINGERPRINT"]
    assert again.check_message_integrity(b"key")
    assert not again.verify(b"key")
    assert again.verify(b"another")


def test_signing_by_sha1_takes_the_other_signature_away() -> None:
    message = binding_request()
    message.add_message_integrity_sha256(b"key")
    message.add_message_integrity(b"key")
    assert list(message.attributes) == ["MESSAGE-INTEGRITY", "FINGERPRINT"]
    assert not message.signed_sha256
    assert decode(encode(message)).verify(b"key")


def test_a_shortened_signature_is_refused_unless_it_is_agreed_on() -> None:
    head = encode(Message(Method.BINDING, Class.REQUEST, transaction_id=b"transaction!"))
    message = decode(raw(attribute(0x001C, sha256_code(head, b"key", 16))))
    assert message.check_message_integrity_sha256(b"key", shortest=16)
    assert not message.check_message_integrity_sha256(b"other", shortest=16)
    assert not message.verify(b"key")


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
        ("a short signature by SHA-256", attribute(0x001C, bytes(12))),
        ("a long signature by SHA-256", attribute(0x001C, bytes(36))),
        ("a crooked signature by SHA-256", attribute(0x001C, bytes(30))),
        ("a user hash of 31 bytes", attribute(0x001E, bytes(31))),
        ("a password algorithm of two bytes", attribute(0x001D, bytes(2))),
        ("two password algorithms in place of one", attribute(0x001D, bytes(8))),
        ("password algorithms cut short", attribute(0x8002, bytes(6))),
        ("a password algorithm whose parameters overrun", attribute(0x8002, b"\0\x02\0\x05abcd")),
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


SHA1, SHA2 = attribute(0x0008, bytes(20)), attribute(0x001C, bytes(32))
MISLED = attribute(0x0025, b"")


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (SHA1 + MISLED, ["MESSAGE-INTEGRITY"]),
        (SHA2 + MISLED, ["MESSAGE-INTEGRITY-SHA256"]),
        (SHA1 + MISLED + SHA2 + MISLED, ["MESSAGE-INTEGRITY", "MESSAGE-INTEGRITY-SHA256"]),
        (SHA2 + MISLED + SHA1 + MISLED, ["MESSAGE-INTEGRITY-SHA256", "MESSAGE-INTEGRITY"]),
        (SHA1 + attribute(0x7001, b""), ["MESSAGE-INTEGRITY"]),
    ],
)
def test_what_follows_the_signature_is_ignored(body: bytes, names: list[str]) -> None:
    message = decode(raw(body))
    assert list(message.attributes) == names
    assert message.unknown == ()


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
