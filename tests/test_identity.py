from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.identity import (
    ID_LENGTH,
    Identity,
    is_node_id,
    load_public_key,
    node_id_of,
    public_key_of_certificate,
    verify,
)

DER = serialization.Encoding.DER
PEM = serialization.Encoding.PEM
ME = Identity.generate()
OTHER = Identity.generate()


def spki(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> x509.Certificate:
    name = x509.Name([])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None)


def private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, lock)


def test_an_id_is_the_hash_of_the_key() -> None:
    assert ME.node_id == node_id_of(ME.public_key)
    assert len(ME.node_id) == ID_LENGTH
    assert is_node_id(ME.node_id)
    assert ME.node_id != OTHER.node_id


@pytest.mark.parametrize("text", ["", "a", "A" * 52, "1" * 52, "a" * 53, "7" * 52])
def test_what_is_no_id(text: str) -> None:
    assert not is_node_id(text)


def test_pem_and_back() -> None:
    again = Identity.from_pem(ME.to_pem())
    assert again.node_id == ME.node_id
    assert again.certificate == ME.certificate


def test_repr_shows_nothing_secret() -> None:
    assert repr(ME) == f"Identity({ME.node_id})"


def test_the_certificate_carries_the_key_and_outlives_us() -> None:
    assert public_key_of_certificate(ME.certificate.public_bytes(DER)) == ME.public_key
    assert ME.certificate.not_valid_after_utc.year == 9999
    assert ME.certificate.subject.rfc4514_string() == "CN=atmosphere"


def test_signatures() -> None:
    signature = ME.sign(b"data")
    assert verify(ME.public_key, signature, b"data")
    assert not verify(ME.public_key, signature, b"other")
    assert not verify(OTHER.public_key, signature, b"data")
    assert not verify(b"no key", signature, b"data")
    assert not verify(ME.public_key, b"no signature", b"data")


def test_both_sides_share_a_secret() -> None:
    assert ME.shared_secret(OTHER.public_key) == OTHER.shared_secret(ME.public_key)
    with pytest.raises(DecodeError):
        ME.shared_secret(b"")


def test_a_secret_of_our_own_for_each_purpose() -> None:
    one, other = Identity.generate(), Identity.generate()
    assert one.own_secret("a") == Identity.from_pem(one.to_pem()).own_secret("a")
    assert len({one.own_secret("a"), one.own_secret("b"), other.own_secret("a")}) == 3
    assert len(one.own_secret("a")) == 32


def test_pem_of_others_is_refused() -> None:
    certificate = ME.certificate.public_bytes(PEM)
    p384, edwards = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()
    for pem in (
        b"",
        certificate,
        private_pem(ME.private_key),
        private_pem(OTHER.private_key) + certificate,
        private_pem(p384) + certificate_of(p384).public_bytes(PEM),
        private_pem(edwards) + certificate,
        private_pem(ME.private_key, b"locked") + certificate,
        ME.to_pem()[:-80],
    ):
        with pytest.raises(DecodeError):
            Identity.from_pem(pem)


def test_public_keys_of_others_are_refused() -> None:
    compressed = ME.private_key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    header = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    assert serialization.load_der_public_key(header + compressed) == ME.private_key.public_key()
    for key in (
        header + compressed,
        spki(ec.generate_private_key(ec.SECP384R1()).public_key()),
        spki(ed25519.Ed25519PrivateKey.generate().public_key()),
    ):
        with pytest.raises(DecodeError):
            load_public_key(key)


def test_certificates_of_others_are_refused() -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(DecodeError):
            public_key_of_certificate(certificate_of(key).public_bytes(DER))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_a_decode_error(data: bytes) -> None:
    for decode in (Identity.from_pem, load_public_key, public_key_of_certificate):
        with pytest.raises(DecodeError):
            decode(data)


@given(st.integers(0, 90), st.integers(1, 255))
def test_a_bent_public_key_is_another_key_or_none(place: int, change: int) -> None:
    bent = bytearray(ME.public_key)
    bent[place] ^= change
    try:
        load_public_key(bytes(bent))
    except DecodeError:
        return
    raise AssertionError("one flipped byte left a point on the curve")
