"""Which records have been here already (RFC 6347 section 4.1.2.6)."""

from __future__ import annotations

WINDOW = 4096
"""How far behind the newest record one may be. OpenSSL's 64 are fewer than the packets that are on a slow path when a
link moves to a faster one: a tenth of a second at 300 Mbit/s."""
_ALL = (1 << WINDOW) - 1


class ReplayWindow:
    """The numbers of the records that were authentic, as far back as `WINDOW`."""

    __slots__ = ("_seen", "newest")

    def __init__(self, before: int) -> None:
        """Nothing has come; `before` is the number before the first one."""
        self.newest = before
        self._seen = 0
        """A bit for each number: the lowest is that of the newest one."""

    def is_new(self, number: int) -> bool:
        """Whether a record of that number was not here, as far as anybody remembers."""
        behind = self.newest - number
        return behind < 0 or (behind < WINDOW and not self._seen >> behind & 1)

    def note(self, first: int, count: int = 1) -> None:
        """Records of `count` numbers in a row, all of which were new, were authentic."""
        ahead = first + count - 1 - self.newest
        run = (1 << count) - 1
        if ahead <= 0:
            self._seen |= run << -ahead
        else:
            self._seen = (self._seen << ahead | run) & _ALL if ahead < WINDOW else run & _ALL
            self.newest += ahead
