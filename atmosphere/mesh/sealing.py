"""Envelopes that no server can open, alter or pass off as another's.

Between members: HPKE (RFC 9180; base mode, DHKEM(P-256), HKDF-SHA256, AES-256-GCM) to the receiver's identity key, with
the info "atmosphere envelope v1" + mesh id + receiver's node id. Inside, MessagePack: [sender's node id, sent at (Unix
seconds, float), unique id (16 bytes), payload, signature]; the signature is the sender's (ECDSA P-256, SHA-256) over

    "atmosphere envelope v1", mesh id (20), sender (52), receiver (52), sent at (8, big-endian double), unique id,
    payload

An envelope that is more than 120 s old or early, or that came before, is refused.

Between a joiner and its host: nonce (12) + AES-256-GCM under the invite's seal key, with "atmosphere joining v1 " and
the direction, "joiner" or "host" (who sealed), as associated data. Time plays no part here: a reply code is carried by
hand, and the machine of a joiner may not know the time yet; the invite's own life limits both.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from atmosphere.credentials import DialSecret
from atmosphere.errors import DecodeError
from atmosphere.identity import Identity, load_public_key, node_id_of, verify

MAX_AGE = 120.0
"""Seconds by which an envelope may be late, and by which the clocks of two members may differ."""
MAX_ENVELOPE = 65536
"""Bytes of an envelope that is worth opening."""

Direction = Literal["joiner", "host"]
"""Who sealed an envelope under an invite's secret."""

_LABEL = b"atmosphere envelope v1"
_JOINING = b"atmosphere joining v1 "
_NONCE = 12
_UNIQUE = 16
_TAG = 16
_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class _Inner(msgspec.Struct, array_like=True, frozen=True):
    sender: str
    sent_at: float
    unique: Annotated[bytes, msgspec.Meta(min_length=_UNIQUE, max_length=_UNIQUE)]
    payload: bytes
    signature: bytes


_decoder = msgspec.msgpack.Decoder(_Inner)


class Opened(NamedTuple):
    """What was in an envelope, and which member sealed it."""

    sender: str
    payload: bytes


class ReplayWindow:
    """The unique ids of envelopes that were opened lately: bounded, by sender too, and closed to more when full."""

    def __init__(self, *, per_sender: int = 1024, senders: int = 1024) -> None:
        self._per_sender = per_sender
        self._senders = senders
        self._seen: dict[str, dict[bytes, float]] = {}
        self._forgotten_at = float("-inf")

    def admit(self, sender: str, unique: bytes, now: float) -> bool:
        """Whether this id is new; it is not from now on. False also where there were too many lately."""
        self._forget(now)
        if sender not in self._seen and len(self._seen) >= self._senders:
            return False
        seen = self._seen.setdefault(sender, {})
        if unique in seen or len(seen) >= self._per_sender:
            return False
        seen[unique] = now
        return True

    def _forget(self, now: float) -> None:
        """Drop the ids that are too old to be taken again, or of another time altogether (the clock was set); once in a
        while, as it looks at all of them."""
        if abs(now - self._forgotten_at) < MAX_AGE / 4:
            return
        self._forgotten_at = now
        for sender, seen in list(self._seen.items()):
            for unique in [one for one, when in seen.items() if abs(now - when) > 2 * MAX_AGE]:
                del seen[unique]
            if not seen:
                del self._seen[sender]


def seal_for_member(
    identity: Identity, receiver_public_key: bytes, mesh_id: bytes, payload: bytes, now: float
) -> bytes:
    """An envelope from this identity to a member; `now` is Unix time. DecodeError when the receiver's key is none."""
    receiver, unique = node_id_of(receiver_public_key), os.urandom(_UNIQUE)
    signature = identity.sign(_signed(mesh_id, identity.node_id, receiver, now, unique, payload))
    inner = msgspec.msgpack.encode(_Inner(identity.node_id, now, unique, payload, signature))
    return _SUITE.encrypt(inner, load_public_key(receiver_public_key), _info(mesh_id, receiver))


def open_from_member(
    identity: Identity,
    mesh_id: bytes,
    envelope: bytes,
    public_key_of: Callable[[str], bytes | None],
    now: float,
    window: ReplayWindow,
) -> Opened:
    """What a member sealed for this identity, and who it is; DecodeError when anything about it is wrong.

    `public_key_of` gives a member's key by node id, None for who is no member.
    """
    inner = _decrypt(identity, mesh_id, envelope)
    if not abs(now - inner.sent_at) <= MAX_AGE:
        raise DecodeError(f"an envelope of {now - inner.sent_at:.0f} s ago, or the clocks differ")
    key = public_key_of(inner.sender)
    if key is None:
        raise DecodeError("an envelope from somebody who is no member")
    signed = _signed(mesh_id, inner.sender, identity.node_id, inner.sent_at, inner.unique, inner.payload)
    if node_id_of(key) != inner.sender or not verify(key, inner.signature, signed):
        raise DecodeError("an envelope that its sender did not sign")
    if not window.admit(inner.sender, inner.unique, now):
        raise DecodeError("an envelope that came before, or one of too many")
    return Opened(inner.sender, inner.payload)


def seal_with_secret(secret: DialSecret, direction: Direction, payload: bytes) -> bytes:
    """An envelope between a joiner and its host, both of whom know the invite's secret."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(secret.seal_key).encrypt(nonce, payload, _JOINING + direction.encode())


def open_with_secret(
    secret: DialSecret, direction: Direction, envelope: bytes, now: float, window: ReplayWindow | None = None
) -> bytes:
    """What the joiner or the host sealed; DecodeError when anything about it is wrong.

    With a window, one that came lately is refused.
    """
    if not _NONCE + _TAG <= len(envelope) <= MAX_ENVELOPE:
        raise DecodeError("no envelope")
    nonce, sealed = envelope[:_NONCE], envelope[_NONCE:]
    try:
        payload = AESGCM(secret.seal_key).decrypt(nonce, sealed, _JOINING + direction.encode())
    except InvalidTag as error:
        raise DecodeError("an envelope that this secret does not open") from error
    if window is not None and not window.admit(f"{secret.id} {direction}", nonce, now):
        raise DecodeError("an envelope that came before, or one of too many")
    return payload


def _decrypt(identity: Identity, mesh_id: bytes, envelope: bytes) -> _Inner:
    if len(envelope) > MAX_ENVELOPE:
        raise DecodeError("an envelope too large to be ours")
    try:
        inner = _SUITE.decrypt(envelope, identity.private_key, _info(mesh_id, identity.node_id))
    except (InvalidTag, ValueError) as error:
        raise DecodeError("an envelope that is not for this node") from error
    try:
        return _decoder.decode(inner)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecodeError("an envelope with nonsense in it") from error


def _info(mesh_id: bytes, receiver: str) -> bytes:
    return _LABEL + mesh_id + receiver.encode()


def _signed(mesh_id: bytes, sender: str, receiver: str, sent_at: float, unique: bytes, payload: bytes) -> bytes:
    head = _LABEL + mesh_id + sender.encode() + receiver.encode()
    return head + struct.pack("!d", sent_at) + unique + payload
