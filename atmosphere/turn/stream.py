"""TURN over a byte stream (RFC 8656 §3.7, §12.5) or in WebSocket frames: where one message ends and the next begins.

STUN messages start with 0–3 and are 20 + length bytes; ChannelData starts with 0x40–0x4F, is 4 + length bytes and
padded to a multiple of 4. Anything else means that the stream is lost: there is no way to find the next message. Pure.
"""

from __future__ import annotations

from atmosphere.errors import DecodeError

MAX_MESSAGE = 65535 + 20
_COOKIE = b"\x21\x12\xa4\x42"


class Deframer:
    """Cuts a stream into messages; holds at most one incomplete message (64 KB)."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes (ChannelData with its padding); DecodeError when the stream is lost."""
        self._buffer += data
        messages, end = _cut(self._buffer)
        del self._buffer[:end]
        return messages


def split(frame: bytes) -> list[bytes]:
    """The messages in a WebSocket's frame, which holds whole ones only, padded as in a stream; raises DecodeError."""
    messages, end = _cut(frame)
    if end != len(frame):
        raise DecodeError("a frame with part of a message")
    return messages


def _cut(buffer: bytes | bytearray) -> tuple[list[bytes], int]:
    """The whole messages at the start of `buffer`, and where they end."""
    messages, position = [], 0
    while (size := _size(buffer, position)) and len(buffer) - position >= size:
        messages.append(bytes(buffer[position : position + size]))
        position += size
    return messages, position


def _size(buffer: bytes | bytearray, start: int) -> int:
    """Bytes of the message that begins at `start`; 0 while that cannot be told."""
    if len(buffer) - start < 4:
        return 0
    length = int.from_bytes(buffer[start + 2 : start + 4])
    if 0x40 <= buffer[start] <= 0x4F:
        return 4 + length + (-length % 4)
    cookie = buffer[start + 4 : start + 8]
    if buffer[start] > 3 or length % 4 or cookie != _COOKIE[: len(cookie)]:
        raise DecodeError("not a TURN stream")
    return 20 + length


def pad(message: bytes) -> bytes:
    """`message` as it goes into a stream: a multiple of 4 bytes."""
    return message + bytes(-len(message) % 4)
