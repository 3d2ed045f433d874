"""Which TSNs came in: the cumulative one, the ranges ahead of it, and what came twice (RFC 9260 section 6.2).

TSNs have 32 bits on the wire; here they are counted on without end, so that they can be compared.
"""

from __future__ import annotations

from bisect import bisect_right

from atmosphere.sctp.chunks import MAX_DUPLICATES, MAX_GAPS

MODULO, HALF = 2**32, 2**31
MAX_AHEAD = 0xFFFF
"""TSNs ahead of the cumulative one that a SACK can report."""


def unwrap(wire: int, near: int) -> int:
    """The endless number nearest to `near` that is `wire` on the wire."""
    return near + (wire - near + HALF) % MODULO - HALF


class ReceivedTsns:
    """`cumulative`, and what came beyond it as ranges (first, last)."""

    def __init__(self, first: int) -> None:
        self.cumulative = first - 1
        self.duplicates: list[int] = []
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @property
    def highest(self) -> int:
        """The highest TSN that came in."""
        return self._lasts[-1] if self._lasts else self.cumulative

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return not self._firsts

    def gaps(self) -> tuple[tuple[int, int], ...]:
        """The ranges beyond the cumulative TSN as offsets from it, as many as a SACK holds."""
        base = self.cumulative
        return tuple(
            (first - base, last - base)
            for first, last in zip(self._firsts[:MAX_GAPS], self._lasts, strict=False)
            if last - base <= MAX_AHEAD
        )

    def takes(self, tsn: int) -> bool:
        """Whether a TSN is new and can be reported; one that came before is noted."""
        ahead = tsn - self.cumulative
        if 0 < ahead <= MAX_AHEAD:
            place = bisect_right(self._firsts, tsn) - 1
            if place < 0 or tsn > self._lasts[place]:
                return True
        if ahead <= MAX_AHEAD and len(self.duplicates) < MAX_DUPLICATES:
            self.duplicates.append(tsn % MODULO)
        return False

    def add(self, tsn: int) -> None:
        """Note a TSN that is new."""
        firsts, lasts = self._firsts, self._lasts
        if tsn == self.cumulative + 1:
            self.cumulative = tsn
            self._close_up()
            return
        place = bisect_right(firsts, tsn)
        joins_before = place > 0 and lasts[place - 1] == tsn - 1
        joins_after = place < len(firsts) and firsts[place] == tsn + 1
        if joins_before and joins_after:
            lasts[place - 1] = lasts[place]
            del firsts[place], lasts[place]
        elif joins_before:
            lasts[place - 1] = tsn
        elif joins_after:
            firsts[place] = tsn
        else:
            firsts.insert(place, tsn)
            lasts.insert(place, tsn)

    def forward(self, tsn: int) -> bool:
        """Take everything up to `tsn` for received (RFC 3758 section 3.6); whether that is news."""
        if tsn <= self.cumulative:
            return False
        self.cumulative = tsn
        self._close_up()
        return True

    def take_duplicates(self) -> tuple[int, ...]:
        """What came twice since the last report."""
        taken, self.duplicates = tuple(self.duplicates), []
        return taken

    def _close_up(self) -> None:
        """Move the cumulative TSN over the ranges that it has reached."""
        reached = 0
        for first, last in zip(self._firsts, self._lasts, strict=True):
            if first > self.cumulative + 1:
                break
            self.cumulative = max(self.cumulative, last)
            reached += 1
        del self._firsts[:reached], self._lasts[:reached]
