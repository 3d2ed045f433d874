"""The orderly end of an association: what is on its way arrives first (RFC 9260 section 9.2)."""

from __future__ import annotations

from atmosphere.sctp import chunks
from atmosphere.sctp.received import MODULO

REPEAT, REPEAT_MOST = 0.4, 3.0
TRIES = 12


class Shutdown:
    """Both sides' part in it: `over` is why the association has ended, once it has."""

    def __init__(self) -> None:
        self.wanted = False
        self.over = ""
        self._by_peer = False
        self._send_at: float | None = None
        self._tries = 0

    @property
    def is_ending(self) -> bool:
        """Whether nothing new may be sent."""
        return self.wanted or self._by_peer

    def deadline(self) -> float | None:
        """When to say it again; None for never."""
        return self._send_at

    def chunk(self, cumulative: int, now: float, *, drained: bool) -> bytes:
        """What is to be sent now, once everything sent has arrived (`drained`); or nothing."""
        if not self.is_ending or not drained or self.over or (self._send_at is not None and now < self._send_at):
            return b""
        self._tries += 1
        if self._tries > TRIES:
            self.over = "the peer does not answer"
            return b""
        self._send_at = now + min(REPEAT * 2 ** (self._tries - 1), REPEAT_MOST)
        if self._by_peer:
            return chunks.encode(chunks.SHUTDOWN_ACK)
        return chunks.encode(chunks.SHUTDOWN, (cumulative % MODULO).to_bytes(4))

    def received(self) -> None:
        """SHUTDOWN: the peer sends no more."""
        if not self._by_peer:
            self._by_peer, self._send_at = True, None

    def acknowledged(self) -> bytes:
        """SHUTDOWN ACK: answer it, and it is over."""
        if self.is_ending:
            self.over = "closed by the peer" if self._by_peer and not self.wanted else "closed"
        return chunks.encode(chunks.SHUTDOWN_COMPLETE)

    def completed(self) -> None:
        """SHUTDOWN COMPLETE, which counts only as the answer to our SHUTDOWN ACK."""
        if self._by_peer and self._tries:
            self.over = "closed" if self.wanted else "closed by the peer"
