"""Messages out of I-DATA chunks: fragments are numbered, so those of many messages may come in between each other.

RFC 8260 section 2.1:

```
I-DATA: TSN (4) | stream (2) | reserved (2) | message id (4)
        | payload protocol (4, of the first fragment) or fragment number (4, of all others) | bytes of the message
```
"""

from __future__ import annotations

import struct

from atmosphere.errors import DecodeError
from atmosphere.sctp.chunks import BEGIN, END, UNORDERED, Skipped
from atmosphere.sctp.interface import MAX_MESSAGE
from atmosphere.sctp.ordering import OVERHEAD, Message, Ordering

HEADER = 16
_HEAD = struct.Struct("!LHHLL")

Key = tuple[int, int, int]
"""Whether it is unordered, stream, message id."""


class _Assembly:
    """One message in the making."""

    __slots__ = ("last", "later", "next", "parts", "protocol", "size")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.next = 0
        self.later: dict[int, bytes] = {}
        self.last: int | None = None
        self.protocol = 0
        self.size = 0


class InterleavedReassembly:
    """The receiving side of all streams of an association with interleaving."""

    def __init__(self) -> None:
        self._assemblies: dict[Key, _Assembly] = {}
        self._ordering = Ordering(2**32)
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that wait here, with what keeping them costs."""
        return self._held + self._ordering.held

    @property
    def streams(self) -> int:
        """How many streams are remembered."""
        return self._ordering.streams

    def add(self, tsn: int, flags: int, value: bytes) -> list[Message]:
        """What one chunk completes. DecodeError for what no honest peer sends."""
        _, stream, _, number, place = _HEAD.unpack_from(value)
        unordered = flags & UNORDERED
        whole = flags & (BEGIN | END) == BEGIN | END
        if whole and not unordered and self._ordering.passes(stream, number):
            return [Message(stream, place, value[HEADER:])]
        if not unordered and self._ordering.is_stale(stream, number):
            return []
        if whole:
            return self._complete(unordered, number, Message(stream, place, value[HEADER:]))
        key = (unordered, stream, number)
        assembly = self._assemblies.get(key)
        if assembly is None:
            assembly = self._assemblies[key] = _Assembly()
        if flags & BEGIN:
            assembly.protocol, place = place, 0
        if flags & END:
            if assembly.last is not None:
                raise DecodeError("a message has two ends")
            assembly.last = place
        self._put(assembly, place, value[HEADER:])
        return self._finish(key, assembly)

    def extend(self, head: bytes, first: int, payloads: tuple[bytes, ...], size: int) -> bool:
        """Take many ordered middle fragments at once, those of `head` (stream to message id) from number `first` on.

        `size` is that of one. False where they do not follow what is here; then nothing happened.
        """
        assembly = self._assemblies.get((0, int.from_bytes(head[:2]), int.from_bytes(head[4:8])))
        if assembly is None or assembly.next != first or assembly.later or assembly.last is not None:
            return False
        count = len(payloads)
        if assembly.size + count * size > MAX_MESSAGE:
            return False
        assembly.parts += payloads
        assembly.next += count
        assembly.size += count * size
        self._held += count * (size + OVERHEAD)
        return True

    def forward(self, tsn: int, skipped: list[Skipped]) -> list[Message]:
        """Give up what the peer has given up."""
        found: list[Message] = []
        for stream, number, unordered in skipped:
            for key in [key for key in self._assemblies if key[:2] == (UNORDERED * unordered, stream)]:
                if (number - key[2]) % 2**32 < 2**31:
                    self._forget(key)
            if not unordered:
                found += self._ordering.skip(stream, number)
        return found

    def reset(self, stream: int) -> None:
        """The peer begins the stream anew."""
        self._ordering.reset(stream)
        for key in [key for key in self._assemblies if key[1] == stream]:
            self._forget(key)

    def _put(self, assembly: _Assembly, place: int, payload: bytes) -> None:
        """Note one fragment, and those after it that waited for it."""
        if place < assembly.next or place in assembly.later or (assembly.last is not None and place > assembly.last):
            raise DecodeError("a fragment came twice or after the last one")
        assembly.size += len(payload)
        self._held += len(payload) + OVERHEAD
        if assembly.size > MAX_MESSAGE:
            raise DecodeError("a message is too large")
        if place > assembly.next:
            assembly.later[place] = payload
            return
        assembly.parts.append(payload)
        assembly.next += 1
        while assembly.next in assembly.later:
            assembly.parts.append(assembly.later.pop(assembly.next))
            assembly.next += 1

    def _finish(self, key: Key, assembly: _Assembly) -> list[Message]:
        if assembly.last is None or assembly.next <= assembly.last:
            return []
        self._forget(key)
        return self._complete(key[0], key[2], Message(key[1], assembly.protocol, b"".join(assembly.parts)))

    def _complete(self, unordered: int, number: int, message: Message) -> list[Message]:
        return [message] if unordered else self._ordering.arrive(number, message)

    def _forget(self, key: Key) -> None:
        assembly = self._assemblies.pop(key)
        self._held -= assembly.size + OVERHEAD * (len(assembly.parts) + len(assembly.later))
