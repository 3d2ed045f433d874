"""Where a burst of datagrams lies after one read, and how it is cut up without being copied. Pure.

A burst is datagrams of one size end to end, the last perhaps shorter. Cutting 40 of them out of a buffer takes 40
slices; but a flow brings bursts of the same shape again and again, always to the same place, so the slices are kept. A
burst then passes through Python without a step for each datagram: this halved what relaying one costs.
"""

from __future__ import annotations

SIZE = 65536
MAX_SHAPES = 128
"""Lists of slices that are kept: at most 64 slices each, 200 bytes a slice."""

Buffer = bytes | bytearray | memoryview
Parts = tuple[Buffer, ...]


class Window:
    """A buffer that is read into, or (`Window(data)`) the bytes that somebody else has read.

    What `cut` gives is good until the next read.
    """

    __slots__ = ("_shapes", "buffer", "view")

    def __init__(self, buffer: Buffer | None = None) -> None:
        self.buffer: Buffer = bytearray(SIZE) if buffer is None else buffer
        self.view = memoryview(self.buffer)
        self._shapes: dict[tuple[int, int, int, int], Parts] = {}

    def cut(self, size: int, segment: int, skip: int = 0, length: int | None = None) -> Parts:
        """The datagrams of a burst of `size` bytes: of each at most `length` bytes that follow its first `skip`.

        Every datagram gives a part, if an empty one; so does a burst of no bytes.
        """
        segment = segment or 1
        length = segment - skip if length is None else length
        shape = (size, segment, skip, length)
        parts = self._shapes.get(shape)
        if parts is None:
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            view = self.view[:size]
            starts = range(skip, max(size, 1) + skip, segment)
            parts = self._shapes[shape] = tuple(view[start : start + length] for start in starts)
        return parts

    def column(self, place: int, size: int, segment: int) -> bytes:
        """The byte at `place` of each datagram that is as long as the first."""
        return bytes(self.buffer[place : size - size % segment : segment])
