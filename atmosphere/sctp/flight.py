"""What is sent and not yet acknowledged: a state for every TSN, and where its chunk is, to be sent again.

A burst of like chunks is one entry (`Batch`), so that 50 of them cost little more than one.
"""

from __future__ import annotations

from typing import NamedTuple

from atmosphere.sctp.outgoing import Outgoing

SENT, ACKED, LOST, RESENT, ABANDONED = range(5)
"""States: on its way, acknowledged in a gap, to be sent again, sent again, given up."""


class Batch:
    """`count` chunks of `size` bytes each with consecutive TSNs, at `offset` and every `stride` bytes in `data`."""

    __slots__ = ("count", "data", "first", "message", "offset", "sent_at", "size", "stride")

    def __init__(
        self,
        first: int,
        count: int,
        size: int,
        data: bytes,
        message: Outgoing,
        sent_at: float,
        *,
        offset: int = 0,
        stride: int = 0,
    ) -> None:
        self.first, self.count, self.size = first, count, size
        self.data, self.offset, self.stride = data, offset, stride
        self.message = message
        self.sent_at = sent_at

    def chunk(self, tsn: int) -> bytes:
        """The chunk with that TSN."""
        start = self.offset + (tsn - self.first) * self.stride
        return self.data[start : start + self.size]


class Acked(NamedTuple):
    """What a SACK has acknowledged that none before it had."""

    size: int
    latest: float | None
    """When the latest of it was sent, where that is certain."""
    again: float | None
    """When the latest of it was sent again: the answer may be to the first time."""
    highest: int
    """One more than the highest TSN of it."""


class Flight:
    """Chunks by TSN, from `base` on."""

    def __init__(self, first: int) -> None:
        self.base = first
        self.state = bytearray()
        self.outstanding = 0
        """Bytes on their way: sent and neither acknowledged nor lost."""
        self.lost = 0
        """Chunks that wait to be sent again."""
        self.high_acked = first
        """One more than the highest TSN that was acknowledged."""
        self.resent: dict[int, float] = {}
        self.fits_anywhere: float = float("inf")
        """A chunk of more bytes is large: there are paths that let it vanish."""
        self.large_vanished = self.large_acked = float("-inf")
        """When the latest large chunk was sent of those that were lost twice, and of those that arrived."""
        self._entries: list[Batch] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def next(self) -> int:
        """The TSN of the next chunk."""
        return self.base + len(self._entries)

    def batch(self, tsn: int) -> Batch:
        """Where a chunk is."""
        return self._entries[tsn - self.base]

    def add(self, batch: Batch) -> None:
        """These are sent now."""
        self._entries += [batch] * batch.count
        self.state += bytes(batch.count)
        self.outstanding += batch.count * batch.size

    def acknowledge(self, cumulative: int, gaps: tuple[tuple[int, int], ...]) -> Acked:
        """Take in a SACK: everything up to `cumulative`, and the ranges `gaps`, offsets from that."""
        count = max(0, cumulative + 1 - self.base)
        size, latest, again, highest = 0, None, None, 0
        if count and self.state.count(SENT, 0, count) == count:
            last = self._entries[count - 1]
            size, latest, highest = self._drop_sent(count), last.sent_at, cumulative + 1
            self.high_acked = max(self.high_acked, highest)
        elif count:
            size, latest, again, highest = self._acknowledge_each(0, count)
        self._drop(count)
        for first, last_offset in gaps:
            start, stop = first - 1, min(last_offset, len(self._entries))
            if start < stop and self.state.count(ACKED, start, stop) < stop - start:
                more = self._acknowledge_each(start, stop)
                size += more[0]
                latest = max((t for t in (latest, more[1]) if t is not None), default=None)
                again = max((t for t in (again, more[2]) if t is not None), default=None)
                highest = max(highest, more[3])
        return Acked(size, latest, again, highest)

    def lose(self, tsn: int) -> int:
        """Take a chunk for lost; its size."""
        place = tsn - self.base
        if self.state[place] not in (SENT, RESENT):
            return 0
        size = self._entries[place].size
        if size > self.fits_anywhere and self.state[place] == RESENT:
            self.large_vanished = max(self.large_vanished, self._entries[place].sent_at)
        self.state[place] = LOST
        self.lost += 1
        self.resent.pop(tsn, None)
        self.outstanding -= size
        return size

    def lose_all(self) -> int:
        """Take everything on its way for lost; its size."""
        return sum(self.lose(self.base + place) for place, state in enumerate(self.state) if state in (SENT, RESENT))

    def resend(self, tsn: int, now: float) -> bytes:
        """A chunk that is sent again now."""
        place = tsn - self.base
        batch = self._entries[place]
        if self.state[place] == LOST:
            self.lost -= 1
            self.outstanding += batch.size
        self.state[place] = RESENT
        self.resent[tsn] = now
        return batch.chunk(tsn)

    def abandon(self, message: Outgoing, near: int) -> None:
        """Give up the chunks of a message, one of which is `near`."""
        if message.fragment == 1:
            self._give_up(near - self.base)
            return
        for place, batch in enumerate(self._entries):
            if batch.message is message:
                self._give_up(place)

    def abandoned_to(self) -> int:
        """The highest TSN so that everything up to it is acknowledged or given up (Advanced.Peer.Ack.Point)."""
        place = 0
        while place < len(self.state) and self.state[place] in (ABANDONED, ACKED):
            place += 1
        while place and self.state[place - 1] == ACKED:
            place -= 1
        return self.base + place - 1

    def given_up(self, to: int) -> list[Outgoing]:
        """The messages given up among the chunks up to a TSN."""
        found: dict[int, Outgoing] = {}
        for place in range(to + 1 - self.base):
            if self.state[place] == ABANDONED:
                found[id(self._entries[place].message)] = self._entries[place].message
        return list(found.values())

    def first_lost(self) -> int | None:
        """The first chunk that is to be sent again."""
        place = self.state.find(LOST)
        return None if place < 0 else self.base + place

    def last_outstanding(self) -> int | None:
        """The last chunk on its way."""
        place = max(self.state.rfind(SENT), self.state.rfind(RESENT))
        return None if place < 0 else self.base + place

    def holes(self, state: int) -> list[int]:
        """The TSNs in a state below the highest that was acknowledged."""
        found, stop = [], self.high_acked - self.base
        place = self.state.find(state, 0, max(stop, 0))
        while place >= 0:
            found.append(self.base + place)
            place = self.state.find(state, place + 1, stop)
        return found

    def clear(self) -> None:
        """Forget everything: the association is over."""
        self._drop(len(self._entries))
        self.outstanding = self.lost = 0
        self.resent.clear()

    def _give_up(self, place: int) -> None:
        state = self.state[place]
        if state in (SENT, RESENT):
            self.outstanding -= self._entries[place].size
        elif state == LOST:
            self.lost -= 1
        if state != ACKED:
            self.state[place] = ABANDONED
            self.resent.pop(self.base + place, None)

    def _drop_sent(self, count: int) -> int:
        """The size of the first `count` chunks, all on their way for the first time."""
        size = place = 0
        while place < count:
            batch = self._entries[place]
            taken = min(batch.first + batch.count - self.base, count) - place
            size += taken * batch.size
            if batch.size > self.fits_anywhere:
                self.large_acked = batch.sent_at
            place += taken
        self.outstanding -= size
        return size

    def _drop(self, count: int) -> None:
        del self._entries[:count], self.state[:count]
        self.base += count
        self.high_acked = max(self.high_acked, self.base)

    def _acknowledge_each(self, start: int, stop: int) -> tuple[int, float | None, float | None, int]:
        size, latest, again, highest = 0, None, None, 0
        for place in range(start, stop):
            state, batch, tsn = self.state[place], self._entries[place], self.base + place
            if state == ACKED:
                continue
            if state == SENT:
                self.outstanding -= batch.size
                latest = batch.sent_at if latest is None else max(latest, batch.sent_at)
                if batch.size > self.fits_anywhere:
                    self.large_acked = max(self.large_acked, batch.sent_at)
            elif state == RESENT:
                self.outstanding -= batch.size
                sent = self.resent.pop(tsn)
                again = sent if again is None else max(again, sent)
                if batch.size > self.fits_anywhere:
                    self.large_acked = max(self.large_acked, sent)
            elif state == LOST:
                self.lost -= 1
            if state != ABANDONED:
                size += batch.size
            self.state[place] = ACKED
            highest = tsn + 1
        self.high_acked = max(self.high_acked, highest)
        return size, latest, again, highest
