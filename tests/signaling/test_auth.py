from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from signaling.auth import KeySigner, check, id_of, new_nonce, prove, signed_text
from signaling.errors import AuthError
from signaling.messages import Hello

SIGNER = KeySigner()
NONCE, OTHER_NONCE = "A" * 44, "B" * 44


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_proof_gives_the_id() -> None:
    assert check(prove(SIGNER, "example.org", NONCE), "example.org", NONCE) == id_of(SIGNER.public_key)


def test_an_id_is_52_lower_case_characters() -> None:
    assert id_of(b"") == "4oymiquy7qobjgx36tejs35zeqt24qpemsnzgtfeswmrw6csxbkq"


def test_what_is_signed() -> None:
    assert signed_text("h:1", "bm9uY2U=") == b"atmosphere-signaling-1\0h:1\0bm9uY2U="


def test_a_host_of_odd_bytes_can_be_signed() -> None:
    assert check(prove(SIGNER, "é", NONCE), "é", NONCE)


def test_nonces_differ() -> None:
    assert new_nonce() != new_nonce()


@pytest.mark.parametrize(("host", "nonce"), [("example.com", NONCE), ("example.org", OTHER_NONCE), ("", NONCE)])
def test_a_proof_is_worth_nothing_elsewhere(host: str, nonce: str) -> None:
    with pytest.raises(AuthError, match="does not prove"):
        check(prove(SIGNER, "example.org", NONCE), host, nonce)


def test_a_proof_of_another_key_is_refused() -> None:
    hello = Hello(text(KeySigner().public_key), prove(SIGNER, "h", NONCE).signature)
    with pytest.raises(AuthError, match="does not prove"):
        check(hello, "h", NONCE)


def other_keys() -> list[bytes]:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    point = serialization.PublicFormat.CompressedPoint
    p256 = ec.generate_private_key(ec.SECP256R1()).public_key()
    compressed = p256.public_bytes(serialization.Encoding.X962, point)
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    bits = b"\x03" + bytes([len(compressed) + 1]) + b"\0" + compressed
    return [
        b"",
        b"\x30\x00",
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(encoding, form),
        ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(encoding, form),
        b"\x30" + bytes([len(algorithm) + len(bits)]) + algorithm + bits,
    ]


@pytest.mark.parametrize("key", other_keys(), ids=["empty", "no key", "Ed25519", "P-384", "compressed"])
def test_other_keys_are_refused(key: bytes) -> None:
    with pytest.raises(AuthError, match="the key"):
        check(Hello(text(key), text(b"signature")), "h", NONCE)


def test_what_is_not_base64_is_refused() -> None:
    with pytest.raises(AuthError, match="base64"):
        check(Hello("a", "b"), "h", NONCE)


@given(st.binary(max_size=120), st.binary(max_size=80))
def test_arbitrary_proofs_are_refused(key: bytes, signature: bytes) -> None:
    with pytest.raises(AuthError):
        check(Hello(text(key), text(signature)), "h", NONCE)
    with pytest.raises(AuthError):
        check(Hello(text(SIGNER.public_key), text(signature)), "h", NONCE)
