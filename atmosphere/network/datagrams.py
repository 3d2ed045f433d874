"""The datagrams of hole punching, and who may have written them. Pure.

     0        1        2        3        4                 12                20                28
    | 0xF1 'A' 'P'             | kind   | session (8)      | number (8)       | echo (8)         | payload | tag (16) |

The first byte is none of STUN's, TURN's, DTLS's or RTP's (RFC 7983). `session` is the sender's random number for this
peer, `echo` the session of the other side as far as it is known. With a key the tag is HMAC-SHA256 over all before it,
cut to 16 bytes, and what has none or a wrong one does not exist; without a key there is no tag, and anybody who sees
the packets can answer them.

    PROBE  number counts up; asks for an ACK      ACK    number and echo are the probe's
    DATA   number counts up; carries payload      BYE    the sender stops
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
from dataclasses import dataclass

from atmosphere.errors import DecodeError

MAGIC = b"\xf1AP"
HEADER = struct.Struct("!3sB8sQ8s")
TAG = 16
MAX_PAYLOAD = 1200
"""Bytes of payload: what passes every path without fragments."""
NO_SESSION = bytes(8)
WINDOW = 64


class Kind(enum.IntEnum):
    """What a datagram is for."""

    PROBE = 1
    ACK = 2
    DATA = 3
    BYE = 4


@dataclass(frozen=True)
class Datagram:
    """One datagram, its tag not yet verified."""

    kind: Kind
    session: bytes
    number: int
    echo: bytes = NO_SESSION
    payload: bytes = b""


def encode(datagram: Datagram, key: bytes | None) -> bytes:
    """The datagram's bytes, signed when there is a key."""
    head = HEADER.pack(MAGIC, datagram.kind, datagram.session, datagram.number, datagram.echo)
    data = head + datagram.payload
    return data + _tag(data, key) if key else data


def decode(data: bytes, key: bytes | None) -> Datagram:
    """The datagram in `data`; DecodeError for what is none, or is not signed with `key`."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise DecodeError("not a hole punching datagram")
    if len(data) > HEADER.size + MAX_PAYLOAD + TAG:
        raise DecodeError(f"hole punching datagram of {len(data)} bytes")
    if key:
        data, tag = data[:-TAG], data[-TAG:]
        if len(data) < HEADER.size or not hmac.compare_digest(tag, _tag(data, key)):
            raise DecodeError("a hole punching datagram that is not signed with the key")
    _, kind, session, number, echo = HEADER.unpack_from(data)
    try:
        return Datagram(Kind(kind), session, number, echo, data[HEADER.size :])
    except ValueError as error:
        raise DecodeError(f"a hole punching datagram of kind {kind}") from error


def _tag(data: bytes, key: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)[:TAG]


class ReplayWindow:
    """Lets each number through once; those more than 64 behind the highest are too late."""

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0

    def accept(self, number: int) -> bool:
        """Whether `number` is new."""
        if number > self._highest:
            shift = number - self._highest
            self._seen = (self._seen << shift | 1) & ((1 << WINDOW) - 1) if shift < WINDOW else 1
            self._highest = number
            return True
        bit = 1 << (self._highest - number) if self._highest - number < WINDOW else 0
        if not bit or self._seen & bit:
            return False
        self._seen |= bit
        return True
