"""How much may be on its way: what a congestion controller is told, and what it answers.

And what a loss means: a path that loses a packet in a hundred while its queue is empty is noisy, not crowded.
"""

from __future__ import annotations

from math import sqrt
from typing import Protocol

TOLERATED = 0.02
"""The part of what is sent that may be lost without its being taken for congestion, where no queue has built up."""
CHANCE = 2
"""Standard deviations by which chance alone exceeds that: of few packets, one more lost tells nothing."""
FEW = 2
"""Packets lost in a few round trips that tell nothing of a rate."""
QUEUE_FACTOR, QUEUE_LEAST = 1.25, 0.002
"""A round trip longer than the shortest by that factor and so many seconds has waited in a queue."""
MEMORY = 0.7
"""How much of what was counted in the rounds before still counts."""


class Congestion(Protocol):
    """A controller; sizes are bytes, times monotonic seconds."""

    window: float
    """Bytes that may be on their way."""
    mtu: int
    """Bytes in a full packet; may be set anew at any time."""

    @property
    def is_slow_start(self) -> bool:
        """Whether the window still grows to find out what the path carries."""
        ...

    def acknowledged(self, size: int, now: float, round_trip: float, *, full: bool) -> None:
        """So much has arrived; `full` says that the window was what held us back."""
        ...

    def sampled(self, latest: float, least: float) -> None:
        """An answer took so long while the window was what held us back; the least ever."""
        ...

    def round_ended(self, shortest: float, least: float) -> None:
        """A round trip is over: the shortest time of an answer in it, and the least ever."""
        ...

    def lost(self, now: float) -> None:
        """The network is crowded: at most once a round trip."""
        ...

    def timed_out(self) -> None:
        """Nothing came back for a long time."""
        ...

    def moved(self) -> None:
        """The path is another one, of which nothing is known."""
        ...


class LossJudge:
    """Says whether losses mean congestion: not while they are few and answers come as fast as ever."""

    def __init__(self, mtu: int) -> None:
        self.mtu = mtu
        self._arrived = 0.0
        self._lost = 0.0
        self.queue = False
        """Whether the last round trip has seen a queue."""

    def arrived(self, size: int) -> None:
        """So many bytes were acknowledged."""
        self._arrived += size

    def lost(self, size: int) -> bool:
        """So many bytes were lost; whether that is congestion."""
        self._lost += size
        if self.queue:
            return True
        tolerated = TOLERATED * (self._arrived + self._lost) / self.mtu
        return self._lost > self.mtu * max(FEW, tolerated + CHANCE * sqrt(tolerated))

    def answered(self) -> None:
        """The window has been made smaller: what was lost until now is paid for."""
        self._lost = 0.0

    def round_ended(self, shortest: float, least: float) -> None:
        """A round trip is over (see `Congestion.round_ended`)."""
        self.queue = shortest > least * QUEUE_FACTOR + QUEUE_LEAST
        self._arrived *= MEMORY
        self._lost *= MEMORY
