"""Messages that came before their channel: the peer knew of it first (a negotiated id, or an overtaken OPEN)."""

from __future__ import annotations

from atmosphere.sctp.interface import MAX_MESSAGE

MAX_BYTES = MAX_MESSAGE
MAX_MESSAGES = 256


class EarlyMessages:
    """A small store by stream id; what does not fit is dropped and counted."""

    def __init__(self) -> None:
        self._held: dict[int, list[tuple[int, bytes]]] = {}
        self._bytes = 0
        self._messages = 0
        self.dropped = 0

    def hold(self, stream: int, protocol: int, data: bytes) -> None:
        """Keep a message for a channel that may yet be opened."""
        if self._messages >= MAX_MESSAGES or self._bytes + len(data) > MAX_BYTES:
            self.dropped += 1
            return
        self._held.setdefault(stream, []).append((protocol, data))
        self._messages += 1
        self._bytes += len(data)

    def take(self, stream: int) -> list[tuple[int, bytes]]:
        """The messages held for a channel, in their order of arrival."""
        taken = self._held.pop(stream, [])
        self._messages -= len(taken)
        self._bytes -= sum(len(data) for _, data in taken)
        return taken
