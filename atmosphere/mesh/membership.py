"""Signed statements about who belongs to a mesh: memberships and revocations, together *facts*.

A fact travels as MessagePack: a map of the fields below and `type` ("membership" or "revocation"); unknown keys are
skipped. The signature covers, in this order, a label and each field as length (2, big-endian) and bytes:

    membership   "atmosphere membership v1", mesh id (20), node id, public key (SubjectPublicKeyInfo, DER), name,
                 role, issued (8), expires (8), serial, issuer
    revocation   "atmosphere revocation v1", mesh id (20), serial, issued (8), issuer

Text is UTF-8, times are Unix seconds, `expires` 0 is never. The issuer is "root" (Ed25519 by the mesh's root key) or
the node id of an admin (ECDSA P-256 by its identity). A fact's id is the first 20 bytes of SHA-256 over what is
signed: the signature is no part of it, because one statement can bear many valid signatures and must still count
once.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from atmosphere.errors import DecodeError
from atmosphere.identity import Identity, load_public_key, node_id_of
from atmosphere.identity import verify as verify_node
from atmosphere.mesh.root import MESH_ID_LENGTH, RootKey
from atmosphere.mesh.root import verify as verify_root
from atmosphere.names import is_name

ROOT = "root"
"""The issuer of what the mesh's root key signed."""

MAX_FACT_SIZE = 2048
"""Bytes of an encoded fact."""

ID_LENGTH = 20
"""Bytes of a fact's id."""

Role = Literal["member", "admin", "founder"]
"""A member; one that may also invite and remove others; the one that made the mesh (by the root's word only)."""

Time = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
_SERIAL = re.compile(r"[0-9a-f]{32}")


class Membership(msgspec.Struct, frozen=True, tag="membership", tag_field="type"):
    """The statement that a node belongs to a mesh."""

    mesh_id: bytes
    node_id: str
    public_key: bytes
    name: str
    role: Role
    issued: Time
    expires: Time
    serial: str
    issuer: str
    signature: bytes

    @property
    def is_admin(self) -> bool:
        """Whether this membership lets its node invite and remove others."""
        return self.role != "member"

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        return _packed(
            "atmosphere membership v1", self.mesh_id, self.node_id, self.public_key, self.name, self.role,
            self.issued, self.expires, self.serial, self.issuer,
        )  # fmt: skip


class Revocation(msgspec.Struct, frozen=True, tag="revocation", tag_field="type"):
    """The statement that the membership with this serial no longer holds."""

    mesh_id: bytes
    serial: str
    issued: Time
    issuer: str
    signature: bytes

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        return _packed("atmosphere revocation v1", self.mesh_id, self.serial, self.issued, self.issuer)


Fact = Membership | Revocation

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Fact)


@dataclass(frozen=True)
class Authority:
    """Someone who signs facts: the founder with the mesh's root key, or an admin with its identity."""

    issuer: str
    sign: Callable[[bytes], bytes]

    @classmethod
    def root(cls, key: RootKey) -> Authority:
        """The founder's authority."""
        return cls(ROOT, key.sign)

    @classmethod
    def node(cls, identity: Identity) -> Authority:
        """An admin's authority; worth as much as its own membership."""
        return cls(identity.node_id, identity.sign)

    def membership(
        self,
        mesh_id: bytes,
        public_key: bytes,
        name: str,
        *,
        issued: float,
        expires: float = 0,
        role: Role = "member",
        serial: str | None = None,
    ) -> Membership:
        """A signed membership for the node with this public key; DecodeError for a key or a name that is none."""
        draft = Membership(
            mesh_id, node_id_of(public_key), public_key, name, role, int(issued), int(expires),
            serial or secrets.token_hex(16), self.issuer, b"",
        )  # fmt: skip
        check(draft)
        return msgspec.structs.replace(draft, signature=self.sign(draft.signed_bytes()))

    def revocation(self, mesh_id: bytes, serial: str, *, issued: float) -> Revocation:
        """A signed revocation of the membership with this serial."""
        draft = Revocation(mesh_id, serial, int(issued), self.issuer, b"")
        check(draft)
        return msgspec.structs.replace(draft, signature=self.sign(draft.signed_bytes()))


def fact_id(fact: Fact) -> bytes:
    """The fact's name, 20 bytes, the same whoever holds it."""
    return hashlib.sha256(fact.signed_bytes()).digest()[:ID_LENGTH]


def encode_fact(fact: Fact) -> bytes:
    """The fact as it travels and as it is stored."""
    return _encoder.encode(fact)


def decode_fact(data: bytes) -> Fact:
    """The fact in these bytes, well-formed but not yet believed; DecodeError for anything else."""
    if len(data) > MAX_FACT_SIZE:
        raise DecodeError(f"a fact of {len(data)} bytes")
    try:
        fact: Fact = _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecodeError("not a fact") from error
    check(fact)
    return fact


def check(fact: Fact) -> None:
    """Raise DecodeError unless every field has the form it must have."""
    if len(fact.mesh_id) != MESH_ID_LENGTH or not _SERIAL.fullmatch(fact.serial):
        raise DecodeError("a fact with a mesh id or a serial of another form")
    if len(fact.issuer.encode(errors="replace")) > 64 or len(fact.signature) > 128:
        raise DecodeError("a fact with an issuer or a signature of another form")
    if isinstance(fact, Membership):
        load_public_key(fact.public_key)
        if fact.node_id != node_id_of(fact.public_key):
            raise DecodeError("a membership whose node id is not its key's")
        if not is_name(fact.name):
            raise DecodeError("a membership whose name is none")
        if fact.role == "founder" and fact.issuer != ROOT:
            raise DecodeError("a founder that only a node vouches for")


def is_signed_by(fact: Fact, issuer_key: bytes) -> bool:
    """Whether the fact's signature is its issuer's: the root's public key, or the public key of an admin's identity."""
    verify = verify_root if fact.issuer == ROOT else verify_node
    return verify(issuer_key, fact.signature, fact.signed_bytes())


def _packed(label: str, *values: bytes | str | int) -> bytes:
    parts = [label.encode()]
    for value in values:
        data = value.to_bytes(8) if isinstance(value, int) else value.encode() if isinstance(value, str) else value
        parts.append(len(data).to_bytes(2) + data)
    return b"".join(parts)
