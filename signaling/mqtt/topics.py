"""The topics on a broker, which tell nobody whose they are, and change every hour (pure).

A node's mailbox, and each topic of the application, is at any time one topic of the broker:

    topic = prefix "/" base32(first 20 bytes of H), lower case
    H     = SHA-256("atmosphere mqtt topic v1" 00 | kind 00 | name 00 | epoch (8))
    key   = HKDF-SHA256(name, no salt, info = "atmosphere mqtt key v1" 00 | kind 00 | name 00 | epoch (8)) (32)

`kind` is "node" with the node's id as name, or "topic" with the application's. `epoch` is Unix time in whole hours,
big-endian. A node id is 256 bits that only its acquaintances know, so the hash cannot be turned back, nor one hour's
topic be matched with the next. Receivers listen to the hour before and after as well: clocks differ.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

EPOCH = 3600
"""Seconds for which a topic is used."""

Kind = Literal["node", "topic"]

_TOPIC_LABEL = b"atmosphere mqtt topic v1"
_KEY_LABEL = b"atmosphere mqtt key v1"
_TOPIC_BYTES = 20


@dataclass(frozen=True)
class Lane:
    """Where one name's messages pass during one epoch, and the key that seals them."""

    kind: Kind
    name: str
    epoch: int

    @cached_property
    def context(self) -> bytes:
        """What tells this lane from all others."""
        return b"\0".join((self.kind.encode(), self.name.encode(), self.epoch.to_bytes(8)))

    @cached_property
    def topic(self) -> str:
        """Its topic, without the prefix."""
        digest = hashlib.sha256(_TOPIC_LABEL + b"\0" + self.context).digest()[:_TOPIC_BYTES]
        return base64.b32encode(digest).decode("ascii").lower()

    @cached_property
    def key(self) -> bytes:
        """What seals its messages from everybody who does not know the name."""
        info = _KEY_LABEL + b"\0" + self.context
        return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(self.name.encode())


def epoch_of(now_unix: float) -> int:
    """The epoch that a time belongs to."""
    return max(0, int(now_unix // EPOCH))


def lane(kind: Kind, name: str, now_unix: float) -> Lane:
    """Where to send to `name` now."""
    return Lane(kind, name, epoch_of(now_unix))


def lanes(kind: Kind, name: str, now_unix: float) -> list[Lane]:
    """Where to listen for `name` now: this epoch, and its neighbours for those whose clocks differ."""
    now = epoch_of(now_unix)
    return [Lane(kind, name, epoch) for epoch in range(max(0, now - 1), now + 2)]


def until_next(now_unix: float) -> float:
    """Seconds to the end of this epoch."""
    return EPOCH - now_unix % EPOCH
