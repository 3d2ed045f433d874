"""One direction of a link, as a schedule without sockets: when which frame arrives, and which never does."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field

ETHERNET = 14
"""Bytes of a frame before its packet."""
_IP = (b"\x08\x00", b"\x86\xdd")


@dataclass(frozen=True, slots=True)
class Conditions:
    """Seconds, bytes a second, and probabilities.

    `jitter` is added evenly between 0 and itself and keeps the order; `reorder` frames are overtaken by what follows
    within `held`. The part `loss` is lost, `burst` frames in a row on average. `queue` is what waits for the `rate` at
    most. Packets above `mtu` vanish without a word. Frames that hold no IP packet (ARP) are neither lost nor doubled:
    what links cards repeats by itself.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    burst: float = 1.0
    duplicate: float = 0.0
    reorder: float = 0.0
    held: float = 0.02
    rate: float | None = None
    queue: int = 256_000
    mtu: int | None = None
    down: bool = False


@dataclass(slots=True)
class Counts:
    """What became of the frames so far."""

    carried: int = 0
    lost: int = 0
    overflowed: int = 0
    too_long: int = 0


@dataclass(slots=True)
class Pipe:
    """Frames on their way. `put` them, wait until `deadline`, take what is `due`."""

    conditions: Conditions
    chance: random.Random
    counts: Counts = field(default_factory=Counts)
    _flying: list[tuple[float, int, bytes]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _sending_until: float = 0.0
    _last_arrival: float = 0.0
    _losing: bool = False

    def change(self, conditions: Conditions) -> None:
        """Other conditions from now on; a link that goes down loses what is under way."""
        self.conditions = conditions
        if conditions.down:
            self.counts.lost += len(self._flying)
            self._flying.clear()

    def put(self, frame: bytes, now: float) -> None:
        """Send a frame."""
        if not self._is_sent(frame):
            return
        sent = self._leaves(frame, now)
        if sent is None:
            self.counts.overflowed += 1
            return
        now = sent
        is_ip = frame[12:14] in _IP
        for _ in range(2 if is_ip and self._happens(self.conditions.duplicate) else 1):
            self._fly(frame, now, is_ip and self._happens(self.conditions.reorder))

    def due(self, now: float) -> list[bytes]:
        """The frames that have arrived by now, in the order of their arrival."""
        arrived = []
        while self._flying and self._flying[0][0] <= now:
            arrived.append(heapq.heappop(self._flying)[2])
        self.counts.carried += len(arrived)
        return arrived

    def deadline(self) -> float | None:
        """When the next frame arrives; None when nothing is under way."""
        return self._flying[0][0] if self._flying else None

    def _is_sent(self, frame: bytes) -> bool:
        """Whether a frame comes onto the link at all."""
        if self.conditions.mtu is not None and len(frame) - ETHERNET > self.conditions.mtu:
            self.counts.too_long += 1
            return False
        if self.conditions.down or (frame[12:14] in _IP and self._is_lost()):
            self.counts.lost += 1
            return False
        return True

    def _is_lost(self) -> bool:
        """One frame after another, independently or in bursts (Gilbert's model with nothing but good and lost)."""
        loss, burst = self.conditions.loss, max(self.conditions.burst, 1.0)
        if burst == 1 or loss == 1:
            return self._happens(loss)
        self._losing = self._happens(1 - 1 / burst if self._losing else loss / (1 - loss) / burst)
        return self._losing

    def _leaves(self, frame: bytes, now: float) -> float | None:
        """When the last of the frame's bytes is sent; None when the queue is full."""
        rate = self.conditions.rate
        if rate is None:
            return now
        begins = max(now, self._sending_until)
        if (begins - now) * rate + len(frame) > max(self.conditions.queue, len(frame)):
            return None
        self._sending_until = begins + len(frame) / rate
        return self._sending_until

    def _fly(self, frame: bytes, now: float, overtaken: bool) -> None:
        arrival = now + self.conditions.delay + self.conditions.jitter * self.chance.random()
        if overtaken:
            arrival += self.conditions.held
        else:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        heapq.heappush(self._flying, (arrival, next(self._numbers), frame))

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self.chance.random() < probability
