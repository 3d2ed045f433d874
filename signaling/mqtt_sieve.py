"""Lets through what a broker sends, but for messages that are too long or too many (pure).

A broker passes on whatever anybody publishes, 256 MB at once if it likes. So the packets that carry messages are
counted and measured here, by their fixed header alone (MQTT 5.0 §2.1; the same in 3.1.1), before anything is parsed:

    type (4 bits) flags (4 bits) | remaining length (1 to 4, 7 bits each, the lowest first) | the rest

Those in excess disappear whole. Answers to our own requests always pass; without a message among them they are short.
"""

from __future__ import annotations

from signaling.errors import DecodeError
from signaling.limits import TokenBucket
from signaling.mqtt_envelope import MAX_ENVELOPE

PUBLISH = 3
MAX_PUBLISH = MAX_ENVELOPE + 512
"""Bytes after the fixed header: an envelope, its topic and properties."""
MAX_OTHER = 4096
"""Bytes after the fixed header of any other packet."""

RATE, BURST = 200.0, 1_000.0
"""Messages a second, and at once."""


class Sieve:
    """Fed the bytes of one connection in order; each `feed` gives what may pass of them."""

    def __init__(self, now: float, *, rate: float = RATE, burst: float = BURST) -> None:
        self._bucket = TokenBucket(rate, burst, now)
        self._header = bytearray()
        self._left = 0
        self._passing = True
        self.dropped = 0

    def feed(self, data: bytes, now: float) -> bytes:
        """What of `data` passes, in any pieces; raises DecodeError for what is no MQTT."""
        passed, at = bytearray(), 0
        while at < len(data):
            if self._left:
                took = min(self._left, len(data) - at)
                if self._passing:
                    passed += data[at : at + took]
                self._left -= took
                at += took
            else:
                self._header.append(data[at])
                at += 1
                self._begin(passed, now)
        return bytes(passed)

    def _begin(self, passed: bytearray, now: float) -> None:
        """One more byte of the fixed header; when it is whole, decide."""
        header = self._header
        if len(header) < 2 or (header[-1] & 0x80 and len(header) < 5):
            return
        if header[-1] & 0x80:
            raise DecodeError("the broker sent a packet without an end")
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(header[1:]))
        self._passing = self._admits(header[0] >> 4, length, now)
        self._left = length
        if self._passing:
            passed += header
        else:
            self.dropped += 1
        header.clear()

    def _admits(self, kind: int, length: int, now: float) -> bool:
        if kind == PUBLISH:
            return length <= MAX_PUBLISH and self._bucket.take(now)
        if length > MAX_OTHER:
            raise DecodeError(f"the broker sent an answer of {length} bytes")
        return True
