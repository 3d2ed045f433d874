"""Datagrams in a byte stream: each behind its length, 2 bytes big-endian (RFC 4571 §2, as RFC 6544 §3 uses it). Pure.

Whatever the length says is a frame, so there is no error in this layer; what comes inside is judged like any datagram.
"""

from __future__ import annotations

__all__ = ["MAX_FRAME", "Deframer", "frame"]

MAX_FRAME = 65535
_LENGTH = 2


def frame(datagram: bytes) -> bytes:
    """`datagram` (64 KB at most, else OverflowError) as it goes into a stream."""
    return len(datagram).to_bytes(_LENGTH) + datagram


class Deframer:
    """Cuts a stream into datagrams; `len` of it is how many bytes of an unfinished one are held, 64 KB at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The datagrams that `data` completes; empty frames are left out."""
        self._buffer += data
        found, start = [], 0
        while (end := self._end(start)) <= len(self._buffer):
            if end > start + _LENGTH:
                found.append(bytes(self._buffer[start + _LENGTH : end]))
            start = end
        del self._buffer[:start]
        return found

    def _end(self, start: int) -> int:
        """Where the frame that begins at `start` ends; beyond the buffer while that is not known."""
        if len(self._buffer) - start < _LENGTH:
            return len(self._buffer) + 1
        return start + _LENGTH + int.from_bytes(self._buffer[start : start + _LENGTH])
