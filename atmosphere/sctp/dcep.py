"""The Data Channel Establishment Protocol (RFC 8832): how one side tells the other what a new channel is.

```
DATA_CHANNEL_OPEN: type 3 (1) | channel type (1) | priority (2) | reliability (4)
                   | label length (2) | protocol length (2) | label (UTF-8) | protocol (UTF-8)
DATA_CHANNEL_ACK:  type 2 (1)
```
"""

from __future__ import annotations

import struct

from atmosphere.errors import DecodeError
from atmosphere.sctp.interface import ChannelOptions

ACK = b"\x02"
MAX_NAME = 1024
"""Bytes in the longest label or protocol we take or send; the format would allow 65,535."""

_OPEN = 3
_UNORDERED, _LIMIT_RETRANSMITS, _LIMIT_LIFETIME = 0x80, 0x01, 0x02
_HEADER = struct.Struct("!BBHLHH")


def encode_open(options: ChannelOptions) -> bytes:
    """The DATA_CHANNEL_OPEN of a channel; ValueError for names too long and for two limits at once."""
    label, protocol = options.label.encode(), options.protocol.encode()
    if not 0 <= options.priority <= 0xFFFF:
        raise ValueError("a priority is a number of 16 bits")
    if len(label) > MAX_NAME or len(protocol) > MAX_NAME:
        raise ValueError(f"a label or protocol may have {MAX_NAME} bytes")
    if options.max_retransmits is not None and options.max_lifetime_ms is not None:
        raise ValueError("a channel is limited by retransmissions or by lifetime, not by both")
    kind, limit = 0 if options.ordered else _UNORDERED, 0
    if options.max_retransmits is not None:
        kind, limit = kind | _LIMIT_RETRANSMITS, options.max_retransmits
    elif options.max_lifetime_ms is not None:
        kind, limit = kind | _LIMIT_LIFETIME, options.max_lifetime_ms
    if not 0 <= limit <= 0xFFFFFFFF:
        raise ValueError("a limit is a number of 32 bits")
    return _HEADER.pack(_OPEN, kind, options.priority, limit, len(label), len(protocol)) + label + protocol


def is_ack(message: bytes) -> bool:
    """Whether a message is DATA_CHANNEL_ACK."""
    return message[:1] == ACK


def decode_open(message: bytes) -> ChannelOptions:
    """The channel that a DATA_CHANNEL_OPEN describes, or DecodeError."""
    if len(message) < _HEADER.size or message[0] != _OPEN:
        raise DecodeError("not a DATA_CHANNEL_OPEN")
    _, kind, priority, limit, label_size, protocol_size = _HEADER.unpack_from(message)
    names = message[_HEADER.size :]
    if len(names) != label_size + protocol_size or max(label_size, protocol_size) > MAX_NAME:
        raise DecodeError("the names of a DATA_CHANNEL_OPEN do not have the length it says")
    if kind & 0x7F not in (0, _LIMIT_RETRANSMITS, _LIMIT_LIFETIME):
        raise DecodeError(f"channel type {kind:#04x} is not known")
    try:
        label, protocol = names[:label_size].decode(), names[label_size:].decode()
    except UnicodeDecodeError as error:
        raise DecodeError("the names of a DATA_CHANNEL_OPEN are not UTF-8") from error
    return ChannelOptions(
        label=label,
        protocol=protocol,
        ordered=not kind & _UNORDERED,
        max_retransmits=limit if kind & _LIMIT_RETRANSMITS else None,
        max_lifetime_ms=limit if kind & _LIMIT_LIFETIME else None,
        priority=priority,
    )
