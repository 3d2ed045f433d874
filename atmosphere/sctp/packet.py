"""The packet around the chunks: ports, tag and checksum (RFC 9260 section 3.1), or no checksum (RFC 9653).

```
source port (2) | destination port (2) | verification tag (4) | CRC32c (4, little endian) | chunks
```
"""

from __future__ import annotations

import struct

from google_crc32c import extend, value

from atmosphere.errors import DecodeError

PORT = 5000
HEADER = 12
MTU = 1188
"""Bytes of a packet when nothing is known of the path: with DTLS, UDP and IPv6 it fits the least MTU there is, 1280."""

_HEAD = struct.Struct("!HHL")
_CRC = struct.Struct("<L")
_NONE = bytes(4)


def head(tag: int, source: int = PORT, destination: int = PORT) -> bytes:
    """The first eight bytes of a packet."""
    return _HEAD.pack(source, destination, tag)


def seal(start: bytes, body: bytes, *, zero_checksum: bool = False) -> bytes:
    """A packet from its first eight bytes and its chunks."""
    if zero_checksum:
        return start + _NONE + body
    return start + _CRC.pack(value(start + _NONE + body)) + body


def seal_all(data: bytes, segment: int) -> bytes:
    """The packets end to end in `data`, made without a checksum, with one."""
    packets = [data[place : place + segment] for place in range(0, len(data), segment)]
    return b"".join(packet[:8] + _CRC.pack(value(packet)) + packet[HEADER:] for packet in packets)


def tag_of(packet: bytes, *, zero_checksum: bool) -> int:
    """The verification tag; DecodeError when the packet is too short or its checksum is wrong.

    With `zero_checksum` none is fine too, for DTLS has checked it.
    """
    if len(packet) < HEADER + 4:
        raise DecodeError("too short for an SCTP packet")
    checksum = packet[8:HEADER]
    if not (zero_checksum and checksum == _NONE):
        computed = extend(extend(value(packet[:8]), _NONE), packet[HEADER:])
        if checksum != _CRC.pack(computed):
            raise DecodeError("the checksum is wrong")
    return int.from_bytes(packet[4:8])
