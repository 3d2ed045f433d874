"""Partial reliability: messages that are given up, and how the peer is told (RFC 3758, RFC 7496, RFC 8260 section 2.3).

A message is given up when one of its chunks would have to be sent once more than its channel allows, or too late. The
peer then hears of it by FORWARD TSN, again and again until it says that it has moved on.
"""

from __future__ import annotations

from atmosphere.sctp.chunks import MAX_SKIPPED, Skipped, encode_forward
from atmosphere.sctp.flight import Flight
from atmosphere.sctp.outgoing import Outgoing, OutgoingQueue
from atmosphere.sctp.received import MODULO


class Abandonment:
    """Gives messages up, and makes the FORWARD TSN that says so."""

    def __init__(self, flight: Flight, queue: OutgoingQueue, *, interleaved: bool) -> None:
        self._flight = flight
        self._queue = queue
        self._interleaved = interleaved
        self._told = flight.base - 1
        self._any = False
        self._again = False

    @property
    def is_owed(self) -> bool:
        """Whether the peer is to be told something."""
        return self._any and (self._again or self._flight.abandoned_to() > max(self._told, self._flight.base - 1))

    def give_up_or_resend(self, tsn: int, now: float) -> bool:
        """Whether a lost chunk may be sent again; if not, its message is given up."""
        message = self._flight.batch(tsn).message
        if not message.limited:
            return True
        if message.most_sent is not None and message.times >= message.most_sent:
            self._give_up(message, tsn)
            return False
        if message.expires is not None and now >= message.expires:
            self._give_up(message, tsn)
            return False
        message.times += 1
        return True

    def forward(self) -> bytes | None:
        """The chunk that moves the peer on, as far as one holds; it counts as told."""
        to = self._flight.abandoned_to()
        if to < self._flight.base:
            self._again = False
            return None
        skipped = self._skipped(to)
        while len(skipped) > MAX_SKIPPED:
            to -= 1 + (to - self._flight.base) // 2
            skipped = self._skipped(to)
        self._told, self._again = to, False
        return encode_forward(to % MODULO, skipped, interleaved=self._interleaved)

    def answered(self) -> None:
        """A SACK came: whatever it did not move over is told once more."""
        self._any = self._any and bool(self._flight)
        self._again = self._any and self._flight.base <= self._told

    def repeat(self) -> None:
        """Nothing came back: tell it again."""
        self._again = self._any

    def _give_up(self, message: Outgoing, tsn: int) -> None:
        self._any = True
        self._queue.abandon(message)
        self._flight.abandon(message, tsn)

    def _skipped(self, to: int) -> list[Skipped]:
        """The highest number given up of each stream, which is what a FORWARD TSN names."""
        last: dict[tuple[int, bool], Skipped] = {}
        for message in self._flight.given_up(to):
            last[message.stream, message.unordered] = Skipped(message.stream, message.number, message.unordered)
        return list(last.values())
