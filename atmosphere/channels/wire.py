"""What our own ends of a link say on its control channel, and inside streams (docs/PROTOCOL.md).

Control channel: negotiated data channel 0, label "atmosphere.link", reliable and ordered; one message each:

```
GRANT   1 | stream id (2) | limit (8)          you may send up to `limit` bytes, counted since the channel began
BLOCKED 2 | stream id (2)                      I have more to send than I may
RESET   3 | stream id (2) | reason (UTF-8)     I give this stream up in both directions
STOP    4 | stream id (2)                      I read no more of this stream; what I sent still counts
```

Every channel message costs its length and `OVERHEAD`; one that costs more than `WINDOW` may overdraw (see `credit`);
numbers are big-endian. A message of another type is skipped, so that a newer peer can say more.

A stream is a channel with protocol "atmosphere.stream"; its messages begin with a byte: 0 DATA (then bytes), 1 FIN.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from atmosphere.errors import DecodeError

CONTROL_ID, MESH_ID, DATAGRAM_ID, FIRST_FREE_ID = 0, 1, 2, 3
CONTROL_LABEL, MESH_LABEL, DATAGRAM_LABEL = "atmosphere.link", "atmosphere.mesh", "atmosphere.datagrams"
STREAM_PROTOCOL = "atmosphere.stream"
MAX_REASON = 200

DATA, FIN = b"\x00", b"\x01"

_GRANT, _BLOCKED, _RESET, _STOP = 1, 2, 3, 4
_HEAD = struct.Struct("!BH")
_GRANTED = struct.Struct("!BHQ")


@dataclass(frozen=True, slots=True)
class Grant:
    """The peer may send up to `limit` bytes on a channel, counted since its beginning."""

    channel: int
    limit: int


@dataclass(frozen=True, slots=True)
class Blocked:
    """The sender has more for a channel than it may send."""

    channel: int


@dataclass(frozen=True, slots=True)
class Reset:
    """The sender gives a stream up in both directions."""

    channel: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The sender reads no more of a stream."""

    channel: int


Control = Grant | Blocked | Reset | Stop


def encode(message: Control) -> bytes:
    """The bytes of a control message; a long reason is cut."""
    match message:
        case Grant(channel, limit):
            return _GRANTED.pack(_GRANT, channel, limit)
        case Blocked(channel):
            return _HEAD.pack(_BLOCKED, channel)
        case Stop(channel):
            return _HEAD.pack(_STOP, channel)
        case Reset(channel, reason):
            return _HEAD.pack(_RESET, channel) + reason.encode()[:MAX_REASON].decode(errors="ignore").encode()


def decode(data: bytes) -> Control | None:
    """The control message in `data`; None for a type that this version does not know; DecodeError otherwise."""
    if len(data) < _HEAD.size:
        raise DecodeError("a control message is too short")
    kind, channel = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    if kind == _GRANT:
        if len(rest) != 8:
            raise DecodeError("a GRANT has the wrong length")
        return Grant(channel, int.from_bytes(rest, "big"))
    if kind in (_BLOCKED, _STOP):
        if rest:
            raise DecodeError("a control message is too long")
        return Blocked(channel) if kind == _BLOCKED else Stop(channel)
    if kind != _RESET:
        return None
    return Reset(channel, _reason(rest))


def _reason(data: bytes) -> str:
    if len(data) > MAX_REASON:
        raise DecodeError("the reason of a RESET is too long")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DecodeError("the reason of a RESET is not UTF-8") from error
