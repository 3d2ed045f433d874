"""How a node proves its id to a signaling server, and how the server checks it.

The server's challenge holds a nonce. The node signs, with its P-256 key (ECDSA, SHA-256, signature in DER):

    b"atmosphere-signaling-1" 00 host 00 nonce

`host` is the Host header of the node's own WebSocket request, byte for byte, and `nonce` the text of the challenge. The
id is the lower-case unpadded base32 of SHA-256 over the public key's SubjectPublicKeyInfo (DER).

The server puts the Host header that it received into the text. A hostile server that passes on another's challenge
therefore gets a signature that names the hostile server's own host. It could send that very name as its Host header, so
a server that knows its names should be told them (`Settings.hosts`): then it refuses all others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signaling.errors import AuthError
from signaling.messages import Hello

CONTEXT = b"atmosphere-signaling-1"


class Signer(Protocol):
    """A node's key, as a client needs it."""

    @property
    def public_key(self) -> bytes:
        """The SubjectPublicKeyInfo (DER) of a P-256 key."""

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature with SHA-256, in DER."""


class KeySigner:
    """A signer for a P-256 key held in memory; without a key it makes a new one."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self.public_key = spki_of(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature with SHA-256, in DER."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


def spki_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """The key's one SubjectPublicKeyInfo in DER (the point uncompressed)."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def id_of(public_key: bytes) -> str:
    """The id that belongs to a SubjectPublicKeyInfo: 52 characters."""
    return base64.b32encode(hashlib.sha256(public_key).digest()).decode("ascii").rstrip("=").lower()


def new_nonce() -> str:
    """256 random bits for one challenge, as text."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def signed_text(host: str, nonce: str) -> bytes:
    """The bytes that a hello signs."""
    return b"\0".join((CONTEXT, host.encode("latin-1", "replace"), nonce.encode("ascii")))


def prove(signer: Signer, host: str, nonce: str, *, got: bool = False) -> Hello:
    """The answer to a challenge received over a connection whose Host header is `host`; `got` as in Hello."""
    signature = signer.sign(signed_text(host, nonce))
    key = base64.b64encode(signer.public_key).decode("ascii")
    return Hello(key, base64.b64encode(signature).decode("ascii"), got)


def check(hello: Hello, host: str, nonce: str) -> str:
    """The id that a hello proves; raises AuthError."""
    try:
        public_key = base64.b64decode(hello.key, validate=True)
        signature = base64.b64decode(hello.signature, validate=True)
    except binascii.Error:
        raise AuthError("the key or the signature is not base64") from None
    try:
        _load(public_key).verify(signature, signed_text(host, nonce), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise AuthError(f"the signature does not prove the key to {host!r}") from None
    return id_of(public_key)


def _load(public_key: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise AuthError("the key is no SubjectPublicKeyInfo") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise AuthError("the key is not a P-256 key")
    if spki_of(key) != public_key:
        # Another encoding of the same key would give it a second id.
        raise AuthError("the key is not in its one DER form")
    return key
