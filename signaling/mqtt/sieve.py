"""Lets through what a broker sends, but for messages that are too long or too many (pure).

A broker passes on whatever anybody publishes, 256 MB at once if it likes. So the packets that carry messages are
counted and measured here, by their fixed header alone (MQTT 5.0 §2.1; the same in 3.1.1), before anything is parsed:

    type (4 bits) flags (4 bits) | remaining length (1 to 4, 7 bits each, the lowest first) | the rest

Those in excess disappear whole. Answers to our own requests always pass; without a message among them they are short.
"""

from __future__ import annotations

from signaling.errors import DecodeError
from signaling.limits import TokenBucket
from signaling.mqtt.envelope import MAX_ENVELOPE

PUBLISH = 3
MAX_PUBLISH = MAX_ENVELOPE + 512
"""Bytes after the fixed header: an envelope, its topic and properties."""
MAX_OTHER = 4096
"""Bytes after the fixed header of any other packet."""

RATE, BURST = 100.0, 600.0
"""Messages a second, and at once."""


class Sieve:
    """Fed the bytes of one connection in order; each `feed` gives what may pass of them."""

    def __init__(self, now: float, *, rate: float = RATE, burst: float = BURST) -> None:
        self._bucket = TokenBucket(rate, burst, now)
        self._credit = 0
        self._begun = b""
        """The beginning of a fixed header."""
        self._left = 0
        """Bytes that are to come of the present packet."""
        self._passing = True
        self.dropped = 0

    def feed(self, data: bytes, now: float) -> bytes:
        """What of `data` passes, in any pieces; raises DecodeError for what is no MQTT."""
        data, self._begun = self._begun + data, b""
        self._credit = credit = int(self._bucket.available(now))
        at = min(self._left, len(data))
        passed = [data[:at]] if self._passing else []
        self._left -= at
        while at < len(data):
            header = _header(data, at)
            if header is None:
                self._begun = data[at:]
                break
            start, length = header
            self._passing = self._admits(data[at] >> 4, length)
            if self._passing:
                passed.append(data[at : start + length])
            at = start + length
        else:
            self._left += at - len(data)
        self._bucket.take(now, credit - self._credit)
        return b"".join(passed)

    def _admits(self, kind: int, length: int) -> bool:
        if kind != PUBLISH:
            if length > MAX_OTHER:
                raise DecodeError(f"the broker sent an answer of {length} bytes")
            return True
        if length > MAX_PUBLISH or self._credit <= 0:
            self.dropped += 1
            return False
        self._credit -= 1
        return True


def _header(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the fixed header that begins at `at` ends, and the remaining length in it; None when it is not whole."""
    length = 0
    for place in range(4):
        start = at + 2 + place
        if start > len(data):
            return None
        byte = data[start - 1]
        length |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return start, length
    raise DecodeError("the broker sent a packet without an end")
