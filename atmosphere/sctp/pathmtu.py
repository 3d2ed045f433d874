"""How large the packets of a path may be: found by probes, never taken from what the network says (RFC 8899).

A probe is a HEARTBEAT filled up with PAD (section 6.2) that must not be fragmented on its way; the answer echoes its
nonce. What fits is tried in steps from below, each once the one before it is answered, when a path has carried so much
that it is worth it: an idle link probes nothing. Times are monotonic seconds, sizes bytes of a packet.
"""

from __future__ import annotations

from collections.abc import Callable

from atmosphere.sctp import chunks, packet, parameters

STEPS: tuple[int, ...] = (1264, 1332, 1404, 1432, 8912, 16336)
"""Sizes that are tried: with DTLS, UDP and IP they fill the MTUs of tunnels (from 1360 on), of Ethernet (IPv6, IPv4),
of Ethernet's jumbo frames, and what one DTLS record holds."""
WORTH = 256 * 1024
"""Bytes that a path must have carried before it is probed."""
PROBE_TIMER = 1.0
"""Seconds after which a probe is lost (RFC 8899 section 5.1.1: not less than one)."""
MAX_PROBES = 3
RAISE_TIMER = 600.0
"""Seconds after which a busy path is searched again: it may have become wider."""
SHRUNK_TIMER = 60.0
"""The same after large packets were lost on it."""
NONCE = 8


class PathMtu:
    """The search on one path after the other. `random(n)` gives n unpredictable bytes."""

    def __init__(self, random: Callable[[int], bytes], base: int = packet.MTU) -> None:
        self.size = self._base = base
        """What is known to pass."""
        self._random = random
        self._carried = 0
        self._not_before = 0.0
        self.due = float("inf")
        """When a probe is to be sent; infinite while there is no search."""
        self._nonce = b""
        self._tries = 0

    def carried(self, size: int, now: float) -> None:
        """So many bytes were sent."""
        self._carried += size
        if self._carried >= WORTH and self.due == float("inf") and now >= self._not_before and self._next():
            self.due = now

    def probe(self, now: float) -> bytes:
        """The chunks of the probe that is to be sent, for it is `due`; empty for none."""
        size = self._next()
        if self._nonce:
            self._tries += 1
        if not size or self._tries >= MAX_PROBES:
            self._rest(now + RAISE_TIMER)
            return b""
        self._nonce = self._random(NONCE)
        self.due = now + PROBE_TIMER
        heartbeat = chunks.encode(chunks.HEARTBEAT, parameters.encode(parameters.HEARTBEAT_INFO, self._nonce))
        return heartbeat + chunks.encode(chunks.PAD, bytes(size - packet.HEADER - len(heartbeat) - 4))

    def answered(self, value: bytes, now: float) -> bool:
        """A HEARTBEAT ACK came; whether larger packets may be sent from now on."""
        if not self._nonce or value != parameters.encode(parameters.HEARTBEAT_INFO, self._nonce):
            return False
        self.size, self._nonce, self._tries = self._next(), b"", 0
        self.due = now
        return True

    def shrunk(self, now: float) -> None:
        """Large packets vanish: begin from below, a while later."""
        self.size = self._base
        self._rest(now + SHRUNK_TIMER)

    def moved(self) -> None:
        """The path is another one, of which nothing is known."""
        self.size = self._base
        self._rest(0.0)

    def _rest(self, until: float) -> None:
        self._carried, self._tries, self._nonce = 0, 0, b""
        self.due, self._not_before = float("inf"), until

    def _next(self) -> int:
        return next((step for step in STEPS if step > self.size), 0)
