from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.stun.integrity import (
    Algorithm,
    PasswordAlgorithm,
    long_term_key,
    opaque_string,
    pack_algorithm,
    pack_algorithms,
    sha256_code,
    short_term_key,
    unpack_algorithm,
    unpack_algorithms,
    userhash,
)
from atmosphere.stun.library import make_integrity_key

ALGORITHM = st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40))


def test_a_key_by_md5() -> None:
    """The example of RFC 8489 §9.2.2, and what every TURN client computes."""
    key = long_term_key("user", "realm", "pass")
    assert key.hex() == "8493fbc53ba582fb4c044c456bdc40eb"
    assert key == make_integrity_key("user", "realm", "pass")


def test_a_key_by_sha256() -> None:
    key = long_term_key("user", "realm", "pass", PasswordAlgorithm.SHA256)
    assert key == hashlib.sha256(b"user:realm:pass").digest()


def test_a_user_hash() -> None:
    assert userhash("user", "realm") == hashlib.sha256(b"user:realm").digest()


def test_a_short_term_key_is_the_password() -> None:
    assert short_term_key("VOkJxbRl1RmTxUk/WvJxBt") == b"VOkJxbRl1RmTxUk/WvJxBt"


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("pass word", "pass word"),
        ("cafe\u0301", "caf\u00e9"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\u30de\u30c8", "\u30de\u30c8"),
        ("\u2168", "\u2168"),  # compatibility forms stay: NFC, not NFKC as SASLprep had it
        ("", ""),
    ],
)
def test_an_opaque_string(text: str, prepared: str) -> None:
    assert opaque_string(text) == prepared


@given(st.text())
def test_preparing_twice_changes_nothing(text: str) -> None:
    assert opaque_string(opaque_string(text)) == opaque_string(text)


def test_two_ways_to_type_a_password_are_one_key() -> None:
    assert short_term_key("e\u0301") == short_term_key("\u00e9")
    assert long_term_key("u", "r", "e\u0301") == long_term_key("u", "r", "\u00e9")


@given(st.binary(max_size=100), st.binary(max_size=40), st.sampled_from([16, 20, 24, 28, 32]))
def test_a_code_covers_the_length_up_to_its_own_end(body: bytes, key: bytes, size: int) -> None:
    header = bytes.fromhex("0001ffff2112a442") + bytes(12)
    adjusted = header[:2] + (len(body) + 4 + size).to_bytes(2) + header[4:]
    assert sha256_code(header + body, key, size) == hmac.new(key, adjusted + body, "sha256").digest()[:size]


@given(st.lists(ALGORITHM, max_size=5).map(tuple))
def test_what_is_packed_is_unpacked(algorithms: tuple[Algorithm, ...]) -> None:
    packed = pack_algorithms(algorithms)
    assert len(packed) % 4 == 0
    assert unpack_algorithms(packed) == algorithms
    for algorithm in algorithms:
        assert unpack_algorithm(pack_algorithm(algorithm)) == algorithm


@given(st.binary(max_size=60))
def test_arbitrary_bytes(data: bytes) -> None:
    for unpack in (unpack_algorithm, unpack_algorithms):
        try:
            unpack(data)
        except ValueError:
            continue


@pytest.mark.parametrize("data", [b"", pack_algorithm((2, b"")) * 2])
def test_one_algorithm_is_one(data: bytes) -> None:
    with pytest.raises(ValueError, match="instead of one"):
        unpack_algorithm(data)
