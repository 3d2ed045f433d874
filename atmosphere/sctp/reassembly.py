"""Messages out of DATA chunks: the fragments of one have consecutive TSNs (RFC 9260 section 6.9).

```
DATA: TSN (4) | stream (2) | stream sequence number (2) | payload protocol (4) | bytes of the message
```
"""

from __future__ import annotations

import struct

from atmosphere.errors import DecodeError
from atmosphere.sctp.chunks import BEGIN, END, UNORDERED, Skipped
from atmosphere.sctp.interface import MAX_MESSAGE
from atmosphere.sctp.ordering import OVERHEAD, Message, Ordering

HEADER = 12
_HEAD = struct.Struct("!LHHL")


class _Run:
    """Fragments of one message that follow each other."""

    __slots__ = ("begun", "ended", "first", "following", "parts", "protocol", "sequence", "size", "stream", "unordered")

    def __init__(self, first: int, stream: int, sequence: int, protocol: int, *, unordered: bool) -> None:
        self.first = first
        self.following = first
        self.stream, self.sequence, self.protocol = stream, sequence, protocol
        self.unordered = unordered
        self.begun = self.ended = False
        self.parts: list[bytes] = []
        self.size = 0


class DataReassembly:
    """The receiving side of all streams of an association without interleaving."""

    def __init__(self) -> None:
        self._by_first: dict[int, _Run] = {}
        self._by_following: dict[int, _Run] = {}
        self._ordering = Ordering(2**16)
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
        """What one chunk completes; `tsn` is new and endless. DecodeError for what no honest peer sends."""
        _, stream, sequence, protocol = _HEAD.unpack_from(value)
        payload = value[HEADER:]
        if flags & (BEGIN | END) == BEGIN | END:
            return self._complete(stream, sequence, Message(stream, protocol, payload), bool(flags & UNORDERED))
        run = None if flags & BEGIN else self._by_following.pop(tsn, None)
        if run is None:
            run = _Run(tsn, stream, sequence, protocol, unordered=bool(flags & UNORDERED))
            self._by_first[tsn] = run
        if (run.stream, run.sequence) != (stream, sequence):
            raise DecodeError("fragments of two messages are mixed")
        if flags & BEGIN:
            run.begun, run.protocol = True, protocol
        run.parts.append(payload)
        run.following = tsn + 1
        run.size += len(payload)
        self._held += len(payload) + OVERHEAD
        if flags & END:
            run.ended = True
        else:
            self._join(run)
        if run.size > MAX_MESSAGE:
            raise DecodeError("a message is too large")
        return self._finish(run)

    def forward(self, tsn: int, skipped: list[Skipped]) -> list[Message]:
        """Give up what the peer has given up, all that began at or before `tsn`."""
        for run in [run for run in self._by_first.values() if run.first <= tsn]:
            self._forget(run)
        return [message for one in skipped for message in self._ordering.skip(one.stream, one.number)]

    def reset(self, stream: int) -> None:
        """The peer begins the stream anew."""
        self._ordering.reset(stream)
        for run in [run for run in self._by_first.values() if run.stream == stream]:
            self._forget(run)

    def _join(self, run: _Run) -> None:
        """Add the run that follows this one, if it is there."""
        after = self._by_first.get(run.following)
        if after is None or after.begun:
            self._by_following[run.following] = run
            return
        if (run.stream, run.sequence) != (after.stream, after.sequence):
            raise DecodeError("fragments of two messages are mixed")
        del self._by_first[after.first]
        run.parts += after.parts
        run.size += after.size
        run.following, run.ended = after.following, after.ended
        if not run.ended:
            self._by_following[run.following] = run

    def _finish(self, run: _Run) -> list[Message]:
        if not (run.begun and run.ended):
            return []
        self._forget(run)
        message = Message(run.stream, run.protocol, b"".join(run.parts))
        return self._complete(run.stream, run.sequence, message, run.unordered)

    def _complete(self, stream: int, sequence: int, message: Message, unordered: bool) -> list[Message]:
        return [message] if unordered else self._ordering.arrive(sequence, message)

    def _forget(self, run: _Run) -> None:
        del self._by_first[run.first]
        if self._by_following.get(run.following) is run:
            del self._by_following[run.following]
        self._held -= run.size + OVERHEAD * len(run.parts)
