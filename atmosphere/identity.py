"""Who a node is: a P-256 key, the certificate that carries it in every DTLS handshake, and the id that names it.

Node id = base32 of SHA-256 over the key's SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, DER), 52 characters. Because an
id is the hash of a key, whoever shows a key that hashes to an id *is* that node: no directory has to be believed.

The certificate never expires (RFC 5280 §4.1.2.5's 99991231235959Z) and says nothing about its owner: trust is in the
mesh's memberships, not in X.509, and a machine whose clock is wrong must still be able to shake hands.
"""

from __future__ import annotations

import datetime
import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from atmosphere import base32
from atmosphere.errors import DecodeError

ID_LENGTH = 52
"""Characters in a node id."""

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "atmosphere")])
_NOT_BEFORE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)


class Identity:
    """A node's private key and certificate. Its repr shows the id and nothing secret."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.private_key = private_key
        self.certificate = certificate
        self.public_key = _spki(private_key.public_key())
        """SubjectPublicKeyInfo, DER."""
        self.node_id = node_id_of(self.public_key)

    def __repr__(self) -> str:
        return f"Identity({self.node_id})"

    @classmethod
    def generate(cls) -> Identity:
        """A new identity, like no other."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, _self_signed(key))

    @classmethod
    def from_pem(cls, pem: bytes) -> Identity:
        """The identity that `to_pem` wrote; DecodeError for anything else."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise DecodeError("not a private key with its certificate in PEM form") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise DecodeError("the private key is not on the curve P-256")
        if public_key_of_certificate(certificate.public_bytes(serialization.Encoding.DER)) != _spki(key.public_key()):
            raise DecodeError("the certificate belongs to another private key")
        return cls(key, certificate)

    def to_pem(self) -> bytes:
        """The private key (PKCS #8, not encrypted) and then the certificate, as PEM. Secret."""
        key = self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature (P-256, SHA-256, DER). `data` starts with a label of its kind, so none serves twice."""
        return self.private_key.sign(data, ec.ECDSA(hashes.SHA256()))

    def shared_secret(self, peer_public_key: bytes) -> bytes:
        """The ECDH secret with a peer's key, 32 bytes, the same on both sides. To be hashed, never used raw."""
        return self.private_key.exchange(ec.ECDH(), load_public_key(peer_public_key))

    def own_secret(self, label: str) -> bytes:
        """32 bytes for one purpose, named by `label`, that only this node can derive, and always derives alike."""
        return hashlib.sha256(
            label.encode() + b"\0" + self.private_key.exchange(ec.ECDH(), self.private_key.public_key())
        ).digest()


def node_id_of(public_key: bytes) -> str:
    """The node id of a SubjectPublicKeyInfo."""
    return base32.encode(hashlib.sha256(public_key).digest())


def is_node_id(text: str) -> bool:
    """Whether `text` has the form of a node id."""
    try:
        return len(text) == ID_LENGTH and len(base32.decode(text)) == 32
    except DecodeError:
        return False


def load_public_key(public_key: bytes) -> ec.EllipticCurvePublicKey:
    """The P-256 key in a SubjectPublicKeyInfo; DecodeError for another curve or another encoding (another id)."""
    try:
        key = serialization.load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DecodeError("not a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise DecodeError("the public key is not on the curve P-256")
    if _spki(key) != public_key:
        raise DecodeError("the public key is not in its canonical form")
    return key


def verify(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the owner of `public_key` signed `data`; False, never an error, for keys that make no sense."""
    try:
        load_public_key(public_key).verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, DecodeError):
        return False
    return True


def public_key_of_certificate(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate with a P-256 key; DecodeError for anything else."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DecodeError("not a certificate") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise DecodeError("the certificate's key is not on the curve P-256")
    return _spki(key)


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(_NAME).issuer_name(_NAME).public_key(key.public_key())
    builder = (
        builder.serial_number(x509.random_serial_number()).not_valid_before(_NOT_BEFORE).not_valid_after(_NOT_AFTER)
    )
    return builder.sign(key, hashes.SHA256())
