"""Parameters and error causes: the type-length-value lists inside chunks (RFC 9260 sections 3.2.1 and 3.3.10).

```
parameter: type (2) | length (2, with these four bytes) | value | padding to 4
```
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks

HEARTBEAT_INFO, STATE_COOKIE = 1, 7
SUPPORTED_EXTENSIONS, ZERO_CHECKSUM, FORWARD_TSN_SUPPORTED = 0x8008, 0x8001, 0xC000
RESET_OUTGOING, RESET_INCOMING, RESET_TSN, RESET_RESPONSE, ADD_OUTGOING, ADD_INCOMING = range(13, 19)
STALE_COOKIE, UNRECOGNIZED_CHUNK, USER_ABORT, PROTOCOL_VIOLATION = 3, 6, 12, 13
"""Error causes."""
DTLS = 1
"""The one alternate error detection method of RFC 9653: DTLS lets nothing broken through."""
MAX_REASON = 200
MAX_PARAMETERS = 256

_HEAD = struct.Struct("!HH")
_EXTENSIONS = bytes((chunks.RE_CONFIG, chunks.FORWARD_TSN, chunks.I_FORWARD_TSN, chunks.I_DATA))


class Features(NamedTuple):
    """What a side can do beyond RFC 9260."""

    interleaving: bool = True
    partial_reliability: bool = True
    reset: bool = True
    zero_checksum: bool = True

    def both(self, other: Features) -> Features:
        """What is used when one side offers this and the other that."""
        return Features(*(mine and theirs for mine, theirs in zip(self, other, strict=True)))


def encode(kind: int, value: bytes) -> bytes:
    """One parameter, padded."""
    return _HEAD.pack(kind, 4 + len(value)) + value + bytes(-len(value) % 4)


def decode_all(body: bytes) -> list[tuple[int, bytes]]:
    """The parameters in `body`, types and values; DecodeError when one is cut short or there are too many."""
    found: list[tuple[int, bytes]] = []
    position, size = 0, len(body)
    while position < size:
        if position + 4 > size:
            raise DecodeError("a parameter is cut short")
        kind, length = _HEAD.unpack_from(body, position)
        if length < 4 or position + length > size:
            raise DecodeError("a parameter's length is wrong")
        found.append((kind, body[position + 4 : position + length]))
        position += length + -length % 4
    if len(found) > MAX_PARAMETERS:
        raise DecodeError("too many parameters")
    return found


def encode_features(offered: Features) -> bytes:
    """The parameters of INIT and INIT ACK that say what we can do."""
    extensions = bytes(
        kind
        for kind in _EXTENSIONS
        if (offered.reset or kind != chunks.RE_CONFIG)
        and (offered.partial_reliability or kind not in (chunks.FORWARD_TSN, chunks.I_FORWARD_TSN))
        and (offered.interleaving or kind not in (chunks.I_DATA, chunks.I_FORWARD_TSN))
    )
    encoded = encode(SUPPORTED_EXTENSIONS, extensions)
    if offered.partial_reliability:
        encoded += encode(FORWARD_TSN_SUPPORTED, b"")
    if offered.zero_checksum:
        encoded += encode(ZERO_CHECKSUM, struct.pack("!L", DTLS))
    return encoded


def decode_features(found: list[tuple[int, bytes]]) -> Features:
    """What the peer's INIT or INIT ACK says it can do."""
    known = dict(found)
    extensions = known.get(SUPPORTED_EXTENSIONS, b"")
    return Features(
        interleaving=chunks.I_DATA in extensions,
        partial_reliability=FORWARD_TSN_SUPPORTED in known or chunks.FORWARD_TSN in extensions,
        reset=chunks.RE_CONFIG in extensions,
        zero_checksum=known.get(ZERO_CHECKSUM, b"") == struct.pack("!L", DTLS),
    )


def abort_cause(reason: str) -> bytes:
    """The cause that carries `reason` in an ABORT (User-Initiated Abort, RFC 9260 section 3.3.10.12)."""
    return encode(USER_ABORT, reason.encode()[:MAX_REASON].decode(errors="ignore").encode())


def abort_reason(value: bytes) -> str:
    """What the peer says in an ABORT; empty when it says nothing that can be shown."""
    try:
        causes = dict(decode_all(value))
    except DecodeError:
        return ""
    words = causes.get(USER_ABORT, causes.get(PROTOCOL_VIOLATION, b""))[:MAX_REASON]
    return "".join(c for c in words.decode(errors="replace") if c.isprintable())
