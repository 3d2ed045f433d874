"""Sealed signals: what two nodes say through others, readable by nobody between, and said once.

Between members: HPKE (RFC 9180, base mode, DHKEM(P-256), HKDF-SHA256, AES-128-GCM) to the receiver's identity key,
with the info `atmosphere signal v1` + mesh id. Inside, MessagePack [sender, stamp, nonce, payload, signature]: the
sender's ECDSA signature covers the label, mesh id, receiver, sender, stamp (Unix milliseconds, 8 bytes), nonce (16
bytes) and payload, so that an envelope cannot be passed on to somebody else as one's own.

Between a joiner and its host: AES-256-GCM under the seal key of the invite's secret. The envelope is a nonce (12)
and the ciphertext of stamp (8) + payload; the direction (`joiner` or `host`, the writer) is the associated data.

Envelopes older or newer than 120 s by the receiver's clock are refused, and so is one that was opened before.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from msgspec import Meta

from atmosphere.credentials import DialSecret
from atmosphere.errors import DecodeError
from atmosphere.identity import Identity, load_public_key, node_id_of, verify

MAX_AGE = 120.0
"""Seconds that an envelope may be old, or ahead of our clock."""

MAX_PAYLOAD = 9 * 1024
REMEMBERED = 8192
NONCE = 16

_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
_INFO = b"atmosphere signal v1 "
_LABEL = b"atmosphere signed signal v1\0"

Writer = Literal["joiner", "host"]


class _Letter(msgspec.Struct, array_like=True, frozen=True):
    sender: Annotated[str, Meta(min_length=52, max_length=52)]
    stamp: Annotated[int, Meta(ge=0, lt=1 << 62)]
    nonce: Annotated[bytes, Meta(min_length=NONCE, max_length=NONCE)]
    payload: Annotated[bytes, Meta(max_length=MAX_PAYLOAD)]
    signature: Annotated[bytes, Meta(max_length=128)]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Letter).decode


@dataclass(frozen=True, slots=True)
class Opened:
    """What a member sealed for us, and who it is."""

    sender: str
    payload: bytes


class ReplayWindow:
    """Remembers what was opened for as long as it could be opened again; the oldest goes first."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def admit(self, nonce: bytes, stamp: float, now_unix: float, max_age: float = MAX_AGE) -> None:
        """Take in an authenticated envelope; DecodeError when it is too old, of the future, or not the first of its
        nonce."""
        if not -MAX_AGE <= now_unix - stamp <= max_age:
            raise DecodeError(f"an envelope {now_unix - stamp:.0f} s old")
        while self._seen and next(iter(self._seen.values())) < now_unix - 2 * MAX_AGE:
            self._seen.popitem(last=False)
        if nonce in self._seen or len(self._seen) >= self._size:
            raise DecodeError("an envelope that was opened before, or one too many")
        self._seen[nonce] = now_unix


def seal_for_member(identity: Identity, receiver_key: bytes, mesh_id: bytes, payload: bytes, now_unix: float) -> bytes:
    """`payload` for the eyes of the member with `receiver_key` only, signed by `identity`."""
    stamp, nonce = int(now_unix * 1000), os.urandom(NONCE)
    signed = _signed(mesh_id, node_id_of(receiver_key), identity.node_id, stamp, nonce, payload)
    letter = _Letter(identity.node_id, stamp, nonce, payload, identity.sign(signed))
    key = load_public_key(receiver_key)
    return _SUITE.encrypt(_encode(letter), key, _INFO + mesh_id)


def open_from_member(
    identity: Identity,
    mesh_id: bytes,
    envelope: bytes,
    key_of: Callable[[str], bytes | None],
    now_unix: float,
    window: ReplayWindow,
) -> Opened:
    """What is in `envelope`; DecodeError unless it is for us, fresh, and signed by somebody for whom `key_of` has a
    key."""
    try:
        letter = _decode(_SUITE.decrypt(envelope, identity.private_key, _INFO + mesh_id))
    except (InvalidTag, ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise DecodeError("an envelope that is not for us") from error
    key = key_of(letter.sender)
    signed = _signed(mesh_id, identity.node_id, letter.sender, letter.stamp, letter.nonce, letter.payload)
    if key is None or not verify(key, letter.signature, signed):
        raise DecodeError("an envelope whose sender is no member")
    window.admit(letter.nonce, letter.stamp / 1000, now_unix)
    return Opened(letter.sender, letter.payload)


def seal_with_secret(secret: DialSecret, writer: Writer, payload: bytes, now_unix: float) -> bytes:
    """`payload` for whoever holds `secret`, written by the joiner or by the host."""
    nonce = os.urandom(12)
    plain = int(now_unix * 1000).to_bytes(8) + payload
    return nonce + AESGCM(secret.seal_key).encrypt(nonce, plain, writer.encode())


def open_with_secret(
    secret: DialSecret,
    writer: Writer,
    envelope: bytes,
    now_unix: float,
    window: ReplayWindow,
    max_age: float = MAX_AGE,
) -> bytes:
    """What `writer` sealed under `secret`; DecodeError for anything else, the old and the repeated."""
    nonce = envelope[:12]
    try:
        plain = AESGCM(secret.seal_key).decrypt(nonce, envelope[12:], writer.encode())
    except (InvalidTag, ValueError) as error:
        raise DecodeError("an envelope that this secret does not open") from error
    if len(plain) < 8:
        raise DecodeError("an envelope without a stamp")
    window.admit(nonce, int.from_bytes(plain[:8]) / 1000, now_unix, max_age)
    return plain[8:]


def _signed(mesh_id: bytes, receiver: str, sender: str, stamp: int, nonce: bytes, payload: bytes) -> bytes:
    return b"".join((_LABEL, mesh_id, receiver.encode(), sender.encode(), stamp.to_bytes(8), nonce, payload))
