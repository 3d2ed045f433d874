"""STUN messages (RFC 8489 §5): decode and encode, totally.

     0                   1                   2                   3
     |0 0|     message type (14)     |        message length         |
     |                   magic cookie 0x2112A442                     |
     |                 transaction id (96 bits)                      |
     then attributes: type (16), length (16), value, padded to a multiple of 4

aioice's table says how an attribute's value is read and written; here every size is checked before that table is asked,
so arbitrary bytes give a Message or `DecodeError` and nothing else.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterator
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.stun.integrity import SHA256_SIZE, sha256_code
from atmosphere.stun.library import (
    ATTRIBUTES_BY_TYPE,
    Class,
    LibraryMessage,
    Method,
    message_fingerprint,
)

__all__ = [
    "MAX_ATTRIBUTES",
    "MAX_SIZE",
    "Class",
    "Message",
    "Method",
    "binding_request",
    "binding_response",
    "decode",
    "encode",
    "error_response",
    "is_stun",
    "mapped_address",
]

HEADER = struct.Struct("!HHI12s")
TYPE_LENGTH = struct.Struct("!HH")

MAX_SIZE = 2048
"""Bytes a message may have unless the caller allows more (a TURN Data indication carries whole datagrams)."""
MAX_ATTRIBUTES = 40

_ADDRESS = (8, 20)
_U32 = (4,)
_NONE = (0,)

_EXACT: dict[int, tuple[int, ...]] = {
    0x0001: _ADDRESS,  # MAPPED-ADDRESS
    0x0003: _U32,  # CHANGE-REQUEST
    0x0004: _ADDRESS,  # SOURCE-ADDRESS
    0x0005: _ADDRESS,  # CHANGED-ADDRESS
    0x0008: (20,),  # MESSAGE-INTEGRITY
    0x000C: _U32,  # CHANNEL-NUMBER
    0x000D: _U32,  # LIFETIME
    0x0012: _ADDRESS,  # XOR-PEER-ADDRESS
    0x0016: _ADDRESS,  # XOR-RELAYED-ADDRESS
    0x0017: _U32,  # REQUESTED-ADDRESS-FAMILY
    0x0018: (1,),  # EVEN-PORT
    0x0019: _U32,  # REQUESTED-TRANSPORT
    0x001A: _NONE,  # DONT-FRAGMENT
    0x001C: (16, 20, 24, 28, 32),  # MESSAGE-INTEGRITY-SHA256
    0x001E: (32,),  # USERHASH
    0x0020: _ADDRESS,  # XOR-MAPPED-ADDRESS
    0x0022: (8,),  # RESERVATION-TOKEN
    0x0024: _U32,  # PRIORITY
    0x0025: _NONE,  # USE-CANDIDATE
    0x0027: (2, 4),  # RESPONSE-PORT: its length is 2 (RFC 5780 §7.5); some send 4
    0x8000: _U32,  # ADDITIONAL-ADDRESS-FAMILY
    0x8032: _U32,  # the same in coturn up to 4.6
    0x8023: _ADDRESS,  # ALTERNATE-SERVER
    0x8027: _U32,  # CACHE-TIMEOUT
    0x8028: _U32,  # FINGERPRINT
    0x8029: (8,),  # ICE-CONTROLLED
    0x802A: (8,),  # ICE-CONTROLLING
    0x802B: _ADDRESS,  # RESPONSE-ORIGIN
    0x802C: _ADDRESS,  # OTHER-ADDRESS
    0xC001: _U32,  # NOMINATION
    0xC002: _U32,  # DOUBT
}

_RANGE: dict[int, tuple[int, int]] = {
    0x0006: (0, 512),  # USERNAME: fewer than 513 bytes
    0x0009: (4, 4 + 763),  # ERROR-CODE
    0x000A: (0, 2 * MAX_ATTRIBUTES),  # UNKNOWN-ATTRIBUTES
    0x0014: (0, 763),  # REALM
    0x0015: (0, 763),  # NONCE
    0x001D: (4, 68),  # PASSWORD-ALGORITHM: those there are have no parameters
    0x8002: (0, 512),  # PASSWORD-ALGORITHMS
    0x8022: (0, 763),  # SOFTWARE
}

_XOR = frozenset({0x0012, 0x0016, 0x0020})
_MESSAGE_INTEGRITY = 0x0008
_MESSAGE_INTEGRITY_SHA256 = 0x001C
_FINGERPRINT = 0x8028
_CLOSING = frozenset({_MESSAGE_INTEGRITY, _MESSAGE_INTEGRITY_SHA256, _FINGERPRINT})


class Message(LibraryMessage):
    """One STUN message: `message_method`, `message_class`, `transaction_id` (12 bytes), `attributes` by RFC name.

    `unknown` lists the comprehension-required attribute types (below 0x8000) that nobody here understands; a request
    with one is answered with error 420 (RFC 8489 §6.3.1). Last of all sign it: with `add_message_integrity(key)`,
    `add_message_integrity_sha256(key)`, both in this order, or `add_fingerprint()`. Verify with `verify(key)`, or with
    `check_message_integrity(key)` where only HMAC-SHA1 is spoken, as in ICE.
    """

    unknown: tuple[int, ...] = ()
    _sha256_data: bytes | None = None

    @property
    def signed(self) -> bool:
        """Whether it carries MESSAGE-INTEGRITY (right or wrong)."""
        return self._integrity_data is not None

    @property
    def signed_sha256(self) -> bool:
        """Whether it carries MESSAGE-INTEGRITY-SHA256 (right or wrong)."""
        return self._sha256_data is not None

    def add_message_integrity(self, key: bytes) -> None:
        """Add MESSAGE-INTEGRITY and FINGERPRINT; what was signed otherwise is no longer."""
        self.attributes.pop("MESSAGE-INTEGRITY-SHA256", None)
        self._sha256_data = None
        super().add_message_integrity(key)

    def add_message_integrity_sha256(self, key: bytes) -> None:
        """Add MESSAGE-INTEGRITY-SHA256 (all 32 bytes) and FINGERPRINT; a MESSAGE-INTEGRITY before it stays."""
        for name in ("MESSAGE-INTEGRITY-SHA256", "FINGERPRINT"):
            self.attributes.pop(name, None)
        self._sha256_data = bytes(self)
        self.attributes["MESSAGE-INTEGRITY-SHA256"] = sha256_code(self._sha256_data, key)
        self.add_fingerprint()

    def check_message_integrity_sha256(self, key: bytes, *, shortest: int = SHA256_SIZE) -> bool:
        """Whether MESSAGE-INTEGRITY-SHA256 is there and right; one of less than `shortest` bytes is not (§14.6)."""
        if self._sha256_data is None:
            return False
        code = self.attributes["MESSAGE-INTEGRITY-SHA256"]
        return len(code) >= shortest and hmac.compare_digest(code, sha256_code(self._sha256_data, key, len(code)))

    def verify(self, key: bytes) -> bool:
        """Whether the better of its signatures is right: SHA-256 where it is there, else SHA-1 (RFC 8489 §9.2.4).

        All `attributes` but the signatures and FINGERPRINT are then covered. One without any fails.
        """
        return self.check_message_integrity_sha256(key) if self.signed_sha256 else self.check_message_integrity(key)


def is_stun(data: bytes) -> bool:
    """Whether a datagram is meant as STUN: first byte 0–3 (RFC 7983), the cookie, and a length that fits."""
    return (
        len(data) >= HEADER.size
        and data[0] < 4
        and data[4:8] == b"\x21\x12\xa4\x42"
        and HEADER.size + int.from_bytes(data[2:4]) == len(data)
    )


def decode(data: bytes, *, max_size: int = MAX_SIZE) -> Message:
    """The message in `data`, or `DecodeError`.

    An attribute is taken once, the first (RFC 8489 §14). After MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 only the
    other of them and FINGERPRINT count (§9), and nothing follows FINGERPRINT, which must be right when present. The
    signatures are the caller's to verify, who has the key.
    """
    if not is_stun(data):
        raise DecodeError("not a STUN message")
    if len(data) > max_size:
        raise DecodeError(f"STUN message of {len(data)} bytes")
    kind, _, _, transaction_id = HEADER.unpack_from(data)
    try:
        message = Message(Method(kind & 0x3EEF), Class(kind & 0x0110), transaction_id=transaction_id)
    except ValueError as error:
        raise DecodeError(f"STUN message of an unknown type {kind:#06x}") from error
    _read_attributes(message, data)
    return message


def _read_attributes(message: Message, data: bytes) -> None:
    seen: set[int] = set()
    unknown: list[int] = []
    for kind, value, start in _walk(data):
        if _FINGERPRINT in seen:
            raise DecodeError("STUN attribute after FINGERPRINT")
        ignored = kind in seen or (not seen.isdisjoint(_CLOSING) and kind not in _CLOSING)
        seen.add(kind)
        if ignored:
            continue
        if kind not in ATTRIBUTES_BY_TYPE:
            if kind < 0x8000:
                unknown.append(kind)
            continue
        message.attributes[ATTRIBUTES_BY_TYPE[kind][1]] = _value(kind, value, message.transaction_id)
        if kind == _MESSAGE_INTEGRITY:
            message._integrity_data = data[:start]
        elif kind == _MESSAGE_INTEGRITY_SHA256:
            message._sha256_data = data[:start]
        elif kind == _FINGERPRINT and message.attributes["FINGERPRINT"] != message_fingerprint(data[:start]):
            raise DecodeError("STUN fingerprint does not match")
    message.unknown = tuple(unknown)


def _walk(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Each attribute as (type, value, where it starts)."""
    position, count = HEADER.size, 0
    while position < len(data):
        if len(data) - position < TYPE_LENGTH.size:
            raise DecodeError("STUN message ends inside an attribute")
        kind, length = TYPE_LENGTH.unpack_from(data, position)
        end = position + TYPE_LENGTH.size + length
        if end + (-length % 4) > len(data):
            raise DecodeError(f"STUN attribute {kind:#06x} is longer than its message")
        count += 1
        if count > MAX_ATTRIBUTES:
            raise DecodeError("STUN message with too many attributes")
        yield kind, data[end - length : end], position
        position = end + (-length % 4)


def _value(kind: int, value: bytes, transaction_id: bytes) -> Any:
    _, name, _, unpack = ATTRIBUTES_BY_TYPE[kind]
    low, high = _RANGE.get(kind, (0, 0xFFFF))
    if len(value) not in _EXACT.get(kind, (len(value),)) or not low <= len(value) <= high:
        raise DecodeError(f"STUN {name} of {len(value)} bytes")
    try:
        return unpack(value, transaction_id) if kind in _XOR else unpack(value)
    except (ValueError, struct.error) as error:
        raise DecodeError(f"STUN {name}: {error}") from error


def encode(message: LibraryMessage) -> bytes:
    """The message's bytes. The signature and fingerprint are those already in its attributes."""
    return bytes(message)


def binding_request(attributes: dict[str, Any] | None = None) -> Message:
    """A Binding request with a fresh transaction id; not signed and without FINGERPRINT."""
    return Message(Method.BINDING, Class.REQUEST, attributes=dict(attributes or {}))


def binding_response(request: LibraryMessage, source: tuple[str, int]) -> Message:
    """The success response that tells `request`'s sender the address it was seen at (XOR-MAPPED-ADDRESS)."""
    return _answer(request, Class.RESPONSE, {"XOR-MAPPED-ADDRESS": source})


def error_response(
    request: LibraryMessage, code: int, reason: str, attributes: dict[str, Any] | None = None
) -> Message:
    """The error response to `request`: `code` 300–699, a short reason, further attributes."""
    return _answer(request, Class.ERROR, {"ERROR-CODE": (code, reason)} | (attributes or {}))


def _answer(request: LibraryMessage, kind: Class, attributes: dict[str, Any]) -> Message:
    return Message(request.message_method, kind, transaction_id=request.transaction_id, attributes=attributes)


def mapped_address(response: LibraryMessage) -> tuple[str, int] | None:
    """The sender's address as the server saw it, or None. MAPPED-ADDRESS is what servers older than RFC 5389 send."""
    address = response.attributes.get("XOR-MAPPED-ADDRESS") or response.attributes.get("MAPPED-ADDRESS")
    return (address[0], address[1]) if address else None
