"""The order of the messages of each stream: one that came too early waits for those before it.

RFC 9260 section 6.6 with numbers of 16 bits (SSN), RFC 8260 section 2.1 with 32 (MID).
"""

from __future__ import annotations

from typing import NamedTuple

OVERHEAD = 64
"""What keeping a message or a fragment costs beside its bytes, in our accounts."""


class Message(NamedTuple):
    """A whole message that came in."""

    stream: int
    protocol: int
    data: bytes


class _Line:
    """The messages of one stream that wait."""

    __slots__ = ("next", "waiting")

    def __init__(self) -> None:
        self.next = 0
        self.waiting: dict[int, Message] = {}


class Ordering:
    """Gives the messages of every stream in their order; `held` is what waits, in bytes."""

    def __init__(self, modulo: int) -> None:
        self._modulo = modulo
        self._lines: dict[int, _Line] = {}
        self.held = 0

    @property
    def streams(self) -> int:
        """How many streams are remembered."""
        return len(self._lines)

    def is_stale(self, stream: int, number: int) -> bool:
        """Whether the message with that number has been given out, or passed over, already."""
        line = self._lines.get(stream)
        return line is not None and self._ahead(line, number) < 0

    def passes(self, stream: int, number: int) -> bool:
        """Whether the message is just the next one and none waits behind it; then it counts as given out."""
        line = self._lines.get(stream)
        if line is None or number != line.next or line.waiting:
            return False
        line.next = (number + 1) % self._modulo
        return True

    def arrive(self, number: int, message: Message) -> list[Message]:
        """The messages that can be given out now that this one is here."""
        line = self._lines.get(message.stream)
        if line is None:
            line = self._lines[message.stream] = _Line()
        if number != line.next:
            if self._ahead(line, number) > 0 and number not in line.waiting:
                line.waiting[number] = message
                self.held += len(message.data) + OVERHEAD
            return []
        line.next = (number + 1) % self._modulo
        if not line.waiting:
            return [message]
        return [message, *self._following(line)]

    def skip(self, stream: int, number: int) -> list[Message]:
        """Wait no more for any message up to `number`; what can be given out then."""
        line = self._lines.get(stream)
        if line is None:
            line = self._lines[stream] = _Line()
        if self._ahead(line, number) < 0:
            return []
        passed = sorted(
            (n for n in line.waiting if self._ahead(line, n) <= self._ahead(line, number)),
            key=lambda n: self._ahead(line, n),
        )
        found = [self._release(line, n) for n in passed]
        line.next = (number + 1) % self._modulo
        return found + self._following(line)

    def reset(self, stream: int) -> None:
        """The stream begins anew with number 0."""
        line = self._lines.pop(stream, None)
        if line is not None:
            for number in list(line.waiting):
                self._release(line, number)

    def _following(self, line: _Line) -> list[Message]:
        found = []
        while line.next in line.waiting:
            found.append(self._release(line, line.next))
            line.next = (line.next + 1) % self._modulo
        return found

    def _release(self, line: _Line, number: int) -> Message:
        message = line.waiting.pop(number)
        self.held -= len(message.data) + OVERHEAD
        return message

    def _ahead(self, line: _Line, number: int) -> int:
        """How far a number is after the next one; negative when it is before."""
        half = self._modulo // 2
        return (number - line.next + half) % self._modulo - half
