"""The test vectors of RFC 5769 (all four) and of RFC 8489 Appendix B.1 as its erratum 6268 corrects it.

An attribute's padding is arbitrary in RFC 5769: spaces in §2.1–2.3, zeros in §2.4. Ours is zeros, as RFC 8489 §14 asks
for, so what has other padding is read and verified as it is, and written anew with the padding laid over it.
"""

from __future__ import annotations

import pytest

from atmosphere.errors import DecodeError
from atmosphere.stun.integrity import PasswordAlgorithm, long_term_key, short_term_key, userhash
from atmosphere.stun.longterm import Feature, features_of
from atmosphere.stun.message import Class, Message, Method, decode, encode, mapped_address

# RFC 5769 §2.1
REQUEST = bytes.fromhex(
    "00010058 2112a442 b7e7a701 bc34d686 fa87dfae"
    "80220010 5354554e 20746573 7420636c 69656e74"
    "00240004 6e0001ff 80290008 932ff9b1 51263b36"
    "00060009 6576746a 3a683676 59202020"
    "00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf"
)
# §2.2
RESPONSE_IPV4 = bytes.fromhex(
    "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643"
    "00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96"
)
# §2.3
RESPONSE_IPV6 = bytes.fromhex(
    "01010048 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"
    "00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c"
)
# §2.4
LONG_TERM = bytes.fromhex(
    "00010060 2112a442 78ad3433 c6ad72c0 29da412e"
    "00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000"
    "0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341"
    "0014000b 6578616d 706c652e 6f726700 00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666"
)
# RFC 8489 Appendix B.1, erratum 6268: the length is right and PASSWORD-ALGORITHM is there
SHA256 = bytes.fromhex(
    "00010090 2112a442 78ad3433 c6ad72c0 29da412e"
    "001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704"
    "00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39 46535476 79363473 41000000"
    "0014000b 6578616d 706c652e 6f726700 001d0004 00020000"
    "001c0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65"
)
SHORT_TERM = short_term_key("VOkJxbRl1RmTxUk/WvJxBt")
USERNAME, REALM, PASSWORD = "マトリックス", "example.org", "TheMatrIX"
"""The password is written in the RFCs as it is after SASLprep, which is how they hash it."""

ALL = {
    "2.1": (REQUEST, SHORT_TERM),
    "2.2": (RESPONSE_IPV4, SHORT_TERM),
    "2.3": (RESPONSE_IPV6, SHORT_TERM),
    "2.4": (LONG_TERM, long_term_key(USERNAME, REALM, PASSWORD)),
    "B.1": (SHA256, long_term_key(USERNAME, REALM, PASSWORD, PasswordAlgorithm.SHA256)),
}


def padding(data: bytes) -> list[int]:
    """Where the bytes are that only fill an attribute up."""
    found: list[int] = []
    position = 20
    while position < len(data):
        end = position + 4 + int.from_bytes(data[position + 2 : position + 4])
        position = end + -end % 4
        found += range(end, position)
    return found


@pytest.mark.parametrize(("data", "key"), ALL.values(), ids=ALL)
def test_its_integrity_is_verified(data: bytes, key: bytes) -> None:
    message = decode(data)
    assert message.verify(key)
    assert not message.verify(key + b"x")
    assert message.unknown == ()


@pytest.mark.parametrize(("data", "key"), ALL.values(), ids=ALL)
def test_any_changed_bit_is_noticed(data: bytes, key: bytes) -> None:
    """Also in the padding; what comes after the integrity is FINGERPRINT, which does not count."""
    end = len(data) - (8 if "FINGERPRINT" in decode(data).attributes else 0)
    for bit in range(8 * end):
        changed = bytearray(data)
        changed[bit // 8] ^= 0x80 >> bit % 8
        try:
            message = decode(bytes(changed))
        except DecodeError:
            continue
        assert not message.verify(key), bit


@pytest.mark.parametrize("data", [LONG_TERM, SHA256], ids=["2.4", "B.1"])
def test_what_is_padded_with_zeros_is_written_byte_for_byte(data: bytes) -> None:
    assert encode(decode(data)) == data


@pytest.mark.parametrize("data", [REQUEST, RESPONSE_IPV4, RESPONSE_IPV6], ids=["2.1", "2.2", "2.3"])
def test_what_is_padded_with_spaces_is_written_the_same_but_for_them(data: bytes) -> None:
    written = bytearray(encode(decode(data)))
    assert {written[index] for index in padding(data)} == {0}
    for index in padding(data):
        written[index] = data[index]
    assert written == data


def test_signing_makes_the_same_integrity() -> None:
    """Our own signature over the two messages that our padding suits."""
    for data, key in (ALL["2.4"], ALL["B.1"]):
        message = decode(data)
        given = {name: value for name, value in message.attributes.items() if "INTEGRITY" in name}
        again = Message(
            Method.BINDING,
            Class.REQUEST,
            transaction_id=message.transaction_id,
            attributes={name: value for name, value in message.attributes.items() if name not in given},
        )
        if message.signed_sha256:
            again.add_message_integrity_sha256(key)
        else:
            again.add_message_integrity(key)
        assert {name: again.attributes[name] for name in given} == given
        length = len(data) + 8  # ours adds FINGERPRINT
        assert encode(again)[:-8] == data[:2] + (length - 20).to_bytes(2) + data[4:]


def test_the_request() -> None:
    message = decode(REQUEST)
    assert (message.message_method, message.message_class) == (Method.BINDING, Class.REQUEST)
    assert message.attributes["SOFTWARE"] == "STUN test client"
    assert message.attributes["USERNAME"] == "evtj:h6vY"
    assert message.attributes["PRIORITY"] == 0x6E0001FF
    assert message.attributes["ICE-CONTROLLED"] == 0x932FF9B151263B36
    assert message.signed
    assert not message.signed_sha256
    assert message.attributes["FINGERPRINT"] == 0xE57A3BCF


@pytest.mark.parametrize(
    ("data", "address"), [(RESPONSE_IPV4, "192.0.2.1"), (RESPONSE_IPV6, "2001:db8:1234:5678:11:2233:4455:6677")]
)
def test_the_responses(data: bytes, address: str) -> None:
    message = decode(data)
    assert message.message_class is Class.RESPONSE
    assert mapped_address(message) == (address, 32853)
    assert message.attributes["SOFTWARE"] == "test vector"


def test_the_long_term_request() -> None:
    message = decode(LONG_TERM)
    assert message.attributes["USERNAME"] == USERNAME
    assert message.attributes["NONCE"] == b"f//499k954d6OL34oL9FSTvy64sA"
    assert message.attributes["REALM"] == REALM
    assert "FINGERPRINT" not in message.attributes


def test_the_request_by_sha256() -> None:
    message = decode(SHA256)
    assert message.attributes["USERHASH"] == userhash(USERNAME, REALM)
    assert message.attributes["PASSWORD-ALGORITHM"] == (PasswordAlgorithm.SHA256, b"")
    assert (
        features_of(message.attributes["NONCE"]) == Feature.NONE
    )  # though it uses both: the bits of "AAAC" are others
    assert message.signed_sha256
    assert not message.signed
