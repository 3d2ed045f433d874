"""What is published: an envelope whose sender is seen by those who know the receiver, and by nobody else (pure).

    published = nonce (12) | AES-256-GCM under the lane's key (topics.py), associated data "atmosphere mqtt v1"

Inside, MessagePack: [message id (text), sender's public key (SubjectPublicKeyInfo), sent at (Unix seconds, float),
ttl (seconds, float), payload, signature]. The signature is the sender's (ECDSA P-256, SHA-256, DER) over

    "atmosphere mqtt v1" 00 | SHA-256(lane) (32) | SHA-256(message id) (32) | sent at (8) | ttl (8)
    | SHA-256(payload) (32)

with times as big-endian doubles, and the lane as topics.py writes it: kind 00 name 00 epoch. So a message cannot
be altered, nor be passed off as another's or as meant for another. The payload is sealed already by whoever sends it.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from signaling.auth import Signer, id_of, verify
from signaling.errors import AuthError, DecodeError
from signaling.messages import MAX_TTL, MessageId
from signaling.model import MAX_PAYLOAD_BYTES
from signaling.mqtt.topics import Lane
from signaling.printable import printable

MAX_ENVELOPE = MAX_PAYLOAD_BYTES + 512
"""Bytes; what is longer is none."""

_LABEL = b"atmosphere mqtt v1"
_NONCE = 12
_TIMES = struct.Struct("!dd")

Unix = Annotated[float, Meta(ge=0, le=2**40)]


class Envelope(msgspec.Struct, array_like=True, frozen=True):
    """A message on its way, and who claims to have sent it."""

    id: MessageId
    public_key: Annotated[bytes, Meta(max_length=128)]
    sent_at: Unix
    ttl: Annotated[float, Meta(ge=0, le=MAX_TTL)]
    payload: Annotated[bytes, Meta(max_length=MAX_PAYLOAD_BYTES)]
    signature: Annotated[bytes, Meta(max_length=80)]

    @property
    def sender(self) -> str:
        """The node id of the key; proved only once `check` has not complained."""
        return id_of(self.public_key)


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Envelope)


def seal(lane: Lane, signer: Signer, message_id: str, payload: bytes, ttl: float, now_unix: float) -> bytes:
    """The bytes to publish on the lane's topic."""
    signature = signer.sign(_signed(lane, message_id, now_unix, ttl, payload))
    plain = _encode(Envelope(message_id, signer.public_key, now_unix, ttl, payload, signature))
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(lane.key).encrypt(nonce, plain, _LABEL)


def unseal(lane: Lane, data: bytes) -> Envelope:
    """The envelope that was published on the lane's topic, its signature not yet checked; raises DecodeError."""
    if not _NONCE < len(data) <= MAX_ENVELOPE:
        raise DecodeError(f"{len(data)} bytes are no envelope")
    try:
        plain = AESGCM(lane.key).decrypt(data[:_NONCE], data[_NONCE:], _LABEL)
    except InvalidTag:
        raise DecodeError("not sealed by anybody who knows its receiver") from None
    try:
        return _decoder.decode(plain)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not an envelope: {printable(str(error))}") from None


def check(lane: Lane, envelope: Envelope) -> None:
    """Raise AuthError unless the owner of the envelope's key signed it for this lane."""
    signed = _signed(lane, envelope.id, envelope.sent_at, envelope.ttl, envelope.payload)
    if not verify(envelope.public_key, envelope.signature, signed):
        raise AuthError("the envelope is not signed by its sender")


def _signed(lane: Lane, message_id: str, sent_at: float, ttl: float, payload: bytes) -> bytes:
    hashed = (hashlib.sha256(part).digest() for part in (lane.context, message_id.encode(), payload))
    receiver, name, content = hashed
    return b"".join((_LABEL, b"\0", receiver, name, _TIMES.pack(sent_at, ttl), content))
