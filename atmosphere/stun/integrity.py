"""The keys and codes that protect STUN messages (RFC 8489 §9, §14.4–14.6, §18.5). Pure: text and bytes in, bytes out.

MESSAGE-INTEGRITY is an HMAC-SHA1 and stays what most clients and servers speak; MESSAGE-INTEGRITY-SHA256 is its
successor. Either covers the message up to itself, with the header's length field set to where it ends. The key is a
password (short-term credentials, ICE) or a hash of user name, realm and password (long-term credentials, TURN).
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
import unicodedata

SHA256_SIZE = 32
"""Bytes of MESSAGE-INTEGRITY-SHA256; a usage may allow it to be cut to 16, and neither ICE nor TURN does (§14.6)."""

_HEADER = 20
_ATTRIBUTE_HEADER = 4


class PasswordAlgorithm(enum.IntEnum):
    """How a long-term key is made of the password (RFC 8489 §18.5.1)."""

    MD5 = 0x0001
    SHA256 = 0x0002


Algorithm = tuple[int, bytes]
"""One entry of PASSWORD-ALGORITHMS: the number (a `PasswordAlgorithm` where we know it) and its parameters."""


def opaque_string(text: str) -> str:
    """`text` as both sides must see it before it is hashed: NFC, every kind of space a plain one (RFC 8265 §4.2.2).

    What that profile would refuse (control characters, nothing at all) passes, and then simply fits no password.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", "".join(" " if unicodedata.category(c) == "Zs" else c for c in text))


def short_term_key(password: str) -> bytes:
    """The key of a password agreed on elsewhere, as ICE's are (RFC 8489 §9.1.1)."""
    return opaque_string(password).encode()


def long_term_key(
    username: str, realm: str, password: str, algorithm: PasswordAlgorithm = PasswordAlgorithm.MD5
) -> bytes:
    """The key of a user's password in a realm: 16 bytes by MD5, 32 by SHA-256 (RFC 8489 §9.2.2, §18.5.1)."""
    text = f"{username}:{opaque_string(realm)}:{opaque_string(password)}".encode()
    if algorithm is PasswordAlgorithm.SHA256:
        return hashlib.sha256(text).digest()
    return hashlib.md5(text, usedforsecurity=False).digest()


def userhash(username: str, realm: str) -> bytes:
    """USERHASH: 32 bytes that stand for a user name, so that who listens does not learn it (RFC 8489 §14.4)."""
    return hashlib.sha256(f"{opaque_string(username)}:{opaque_string(realm)}".encode()).digest()


def sha256_code(covered: bytes, key: bytes, size: int = SHA256_SIZE) -> bytes:
    """The value of a MESSAGE-INTEGRITY-SHA256 of `size` bytes that follows `covered`, header included (§14.6)."""
    length = len(covered) - _HEADER + _ATTRIBUTE_HEADER + size
    adjusted = covered[:2] + length.to_bytes(2) + covered[4:]
    return hmac.digest(key, adjusted, "sha256")[:size]


def pack_algorithm(value: Algorithm) -> bytes:
    """One algorithm: number (16), length of the parameters (16), parameters padded to a multiple of 4 (§14.12)."""
    number, parameters = value
    return struct.pack("!HH", number, len(parameters)) + parameters + bytes(-len(parameters) % 4)


def unpack_algorithm(data: bytes) -> Algorithm:
    """The value of PASSWORD-ALGORITHM; raises ValueError where it is not exactly one algorithm."""
    found = unpack_algorithms(data)
    if len(found) != 1:
        raise ValueError(f"{len(found)} password algorithms instead of one")
    return found[0]


def pack_algorithms(values: tuple[Algorithm, ...]) -> bytes:
    """A list of algorithms, the most wanted first (§14.11)."""
    return b"".join(map(pack_algorithm, values))


def unpack_algorithms(data: bytes) -> tuple[Algorithm, ...]:
    """The value of PASSWORD-ALGORITHMS; raises ValueError where it ends inside an algorithm."""
    found: list[Algorithm] = []
    position = 0
    while position < len(data):
        if len(data) - position < _ATTRIBUTE_HEADER:
            raise ValueError("a password algorithm is cut short")
        number, length = struct.unpack_from("!HH", data, position)
        start = position + _ATTRIBUTE_HEADER
        position = start + length + -length % 4
        if position > len(data):
            raise ValueError("a password algorithm's parameters are cut short")
        found.append((number, data[start : start + length]))
    return tuple(found)
