"""The key of a mesh: Ed25519, made and kept by the founder. Whoever has it decides who belongs."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from atmosphere.errors import DecodeError

MESH_ID_LENGTH = 20
"""Bytes in a mesh id."""


class RootKey:
    """A mesh's private key. Its repr shows the mesh id and nothing secret."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.public_key = private_key.public_key().public_bytes_raw()
        """32 bytes (RFC 8032)."""
        self.mesh_id = mesh_id_of(self.public_key)

    def __repr__(self) -> str:
        return f"RootKey(mesh {self.mesh_id.hex()})"

    @classmethod
    def generate(cls) -> RootKey:
        """The key of a new mesh."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> RootKey:
        """The key that `to_pem` wrote; DecodeError for anything else."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise DecodeError("not a private key in PEM form") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise DecodeError("not an Ed25519 key")
        return cls(key)

    def to_pem(self) -> bytes:
        """The key as PEM (PKCS #8, not encrypted). Secret."""
        return self._private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes."""
        return self._private_key.sign(data)


def mesh_id_of(root_public_key: bytes) -> bytes:
    """The mesh id that a root public key stands for: the first 20 bytes of its SHA-256."""
    return hashlib.sha256(root_public_key).digest()[:MESH_ID_LENGTH]


def verify(root_public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the mesh's founder signed `data`; False, never an error, for a key that is none."""
    try:
        Ed25519PublicKey.from_public_bytes(root_public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
