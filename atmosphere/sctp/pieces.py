"""Chunks that no longer fit: a DATA chunk sent on a wide path and lost goes over a narrow one in pieces.

Its TSN is given, so it cannot be cut into other chunks any more, and fragments of IP do not get far. The piece is a
chunk of our own, used between our own nodes only:

```
type 0xBF | flags 0 | length (2) | TSN (4) | offset (2) | size of the whole (2) | bytes
```
"""

from __future__ import annotations

import struct

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks

MAX_WHOLE = 16384
"""Bytes of a chunk that comes in pieces."""
MAX_JOINING = 64
"""Chunks that are incomplete at once; beyond it the oldest is forgotten, and will be sent again."""

_HEAD = struct.Struct("!LHH")


def split(chunk: bytes, room: int) -> list[bytes]:
    """Pieces of a DATA or I-DATA chunk, each at most `room` bytes, header and all."""
    size = (room - 4 - _HEAD.size) & ~3
    tsn = int.from_bytes(chunk[4:8])
    return [
        chunks.encode(chunks.PIECE, _HEAD.pack(tsn, offset, len(chunk)) + chunk[offset : offset + size])
        for offset in range(0, len(chunk), size)
    ]


class Joiner:
    """Puts pieces together, in whatever order, size and number of times they come."""

    def __init__(self) -> None:
        self._joining: dict[tuple[int, int], dict[int, bytes]] = {}

    def add(self, value: bytes) -> bytes:
        """Take one piece; the chunk, if it is whole now, else nothing. DecodeError for what is none."""
        if len(value) <= _HEAD.size:
            raise DecodeError("a piece without bytes")
        tsn, offset, size = _HEAD.unpack_from(value)
        data = value[_HEAD.size :]
        if size > MAX_WHOLE or offset + len(data) > size:
            raise DecodeError("a piece is not part of what it says")
        found = self._joining.setdefault((tsn, size), {})
        if len(data) > len(found.get(offset, b"")):
            found[offset] = data
        whole = bytearray()
        for start in sorted(found):
            if start > len(whole):
                break
            whole += found[start][len(whole) - start :]
        if len(whole) == size:
            del self._joining[tsn, size]
            return bytes(whole)
        if len(self._joining) > MAX_JOINING:
            del self._joining[next(iter(self._joining))]
        return b""
