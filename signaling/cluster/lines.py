"""Which messages a connected node was sent and has not yet said `got` for (pure)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from signaling.mailbox import Key


@dataclass(slots=True)
class _Line:
    sent: deque[tuple[int, Key]]
    seq: int = 0


class Lines:
    """The numbered messages of each connection that says `got`.

    Of one connection the last `maximum` are known. No more than that are kept for it, and whoever says nothing for so
    long gets again what it should have confirmed.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._lines: dict[str, _Line] = {}

    def open(self, node: str, *, got: bool) -> None:
        """A new connection of `node`, which counts from 1 when it says `got`."""
        self._lines.pop(node, None)
        if got:
            self._lines[node] = _Line(deque(maxlen=self._maximum))

    def close(self, node: str) -> None:
        """The connection is gone, and with it what it was sent."""
        self._lines.pop(node, None)

    def number(self, node: str, key: Key) -> int | None:
        """The next message's number; None for a connection that does not say `got`."""
        line = self._lines.get(node)
        if line is None:
            return None
        line.seq += 1
        line.sent.append((line.seq, key))
        return line.seq

    def says_something(self, node: str, seq: int) -> bool:
        """Whether a `got` up to `seq` is about anything."""
        line = self._lines.get(node)
        return bool(line and line.sent and line.sent[0][0] <= seq)

    def got(self, node: str, seq: int) -> list[Key]:
        """What has arrived now."""
        line = self._lines.get(node)
        arrived: list[Key] = []
        while line and line.sent and line.sent[0][0] <= seq:
            arrived.append(line.sent.popleft()[1])
        return arrived
