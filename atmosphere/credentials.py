"""What two sides that share a secret derive from it: everything a dial needs, and nothing has to be exchanged.

A *dial secret* is 16 to 32 bytes known to two sides: an invite's secret (in a join code), or the ECDH secret of two
members. Each value below is HKDF-SHA256 (RFC 5869, no salt) of it with the info `atmosphere dial v1 ` + its label:

    label                 bytes  becomes
    host ufrag              9    the host's ICE ufrag, 12 characters of base64 (the ice-chars of RFC 8839 §5.4)
    host password          18    the host's ICE password, 24 characters
    dialer password U      18    the ICE password that goes with the dialer's freely chosen ufrag U, 24 characters
    seal                   32    the key that seals signaling payloads (atmosphere.mesh.sealing)
    proof                  32    the key of the proof inside DTLS (atmosphere.mesh.invites)
    turn                   18    the dialer's password at the host's embedded TURN server, 24 characters
    id                      8    the secret's public name, 16 hexadecimal digits

The secret of two members is HKDF-SHA256 of their ECDH secret with the mesh id as salt and the info
`atmosphere pair v1 ` + both node ids in order; as hosted by one of them, HKDF-SHA256 of that with the info
`atmosphere host v1 ` + the host's node id.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from atmosphere.identity import Identity, node_id_of

SECRET_SIZES = range(16, 33)
"""How long a dial secret may be, in bytes."""


@dataclass(frozen=True)
class DialSecret:
    """A secret between a host and a dialer, and what both derive from it. Its repr shows the public id only."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) not in SECRET_SIZES:
            raise ValueError(f"a dial secret has 16 to 32 bytes, not {len(self.secret)}")

    def __repr__(self) -> str:
        return f"DialSecret(id={self.id})"

    @classmethod
    def for_pair(cls, identity: Identity, peer_public_key: bytes, mesh_id: bytes) -> DialSecret:
        """The secret of two members, the same computed by either; DecodeError when the peer's key is none."""
        first, second = sorted((identity.node_id, node_id_of(peer_public_key)))
        shared = identity.shared_secret(peer_public_key)
        return cls(_hkdf(shared, b"atmosphere pair v1 " + f"{first}{second}".encode(), 32, salt=mesh_id))

    def hosted_by(self, host_id: str) -> DialSecret:
        """This pair's secret for links that `host_id` hosts.

        With one secret for both directions a node would answer its own checks, where the peer's private address happens
        to be its own as well (two homes, both 192.168.1.5).
        """
        return DialSecret(_hkdf(self.secret, b"atmosphere host v1 " + host_id.encode(), 32))

    @cached_property
    def ufrag(self) -> str:
        """The host's ICE ufrag: 12 ice-chars. Public."""
        return _ice_characters(self._derive("host ufrag", 9))

    @cached_property
    def password(self) -> str:
        """The host's ICE password: 24 ice-chars."""
        return _ice_characters(self._derive("host password", 18))

    def dialer_password(self, dialer_ufrag: str) -> str:
        """The ICE password of the dialer that chose this ufrag: 24 ice-chars."""
        return _ice_characters(self._derive("dialer password " + dialer_ufrag, 18))

    @cached_property
    def seal_key(self) -> bytes:
        """Seals what both sides say through others: 32 bytes."""
        return self._derive("seal", 32)

    @cached_property
    def proof_key(self) -> bytes:
        """Proves the secret inside a DTLS session: 32 bytes."""
        return self._derive("proof", 32)

    @cached_property
    def turn_password(self) -> str:
        """The dialer's password at the host's embedded TURN server, where its user name is its node id: 24 ice-chars.

        Nobody has to hand it out, and it is never sent (RFC 8489 §9.2).
        """
        return _ice_characters(self._derive("turn", 18))

    @cached_property
    def id(self) -> str:
        """The secret's public name: 16 hexadecimal digits that tell nothing about it."""
        return self._derive("id", 8).hex()

    def _derive(self, label: str, length: int) -> bytes:
        return _hkdf(self.secret, b"atmosphere dial v1 " + label.encode(), length)


def _hkdf(secret: bytes, info: bytes, length: int, salt: bytes | None = None) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _ice_characters(data: bytes) -> str:
    """Base64 of a multiple of 3 bytes: its alphabet is exactly ICE's, and there is no padding."""
    return base64.b64encode(data).decode("ascii")
