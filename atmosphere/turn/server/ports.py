"""Which port a relayed address gets: any of a range, at random (RFC 8656 §7.2, RFC 6056). Pure."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

TRIES = 24
"""Ports that are offered at random before the range is searched in order."""

Below = Callable[[int], int]


class Ports:
    """The ports of one local address. `below(n)` gives a random number from 0 to n - 1."""

    def __init__(self, first: int, last: int, below: Below = secrets.randbelow) -> None:
        self._first = first
        self._count = last - first + 1
        self._below = below
        self._used: set[int] = set()

    def __len__(self) -> int:
        return len(self._used)

    def take(self, port: int) -> None:
        """A port is in use."""
        self._used.add(port)

    def give_back(self, port: int) -> None:
        """It no longer is."""
        self._used.discard(port)

    def is_free(self, port: int) -> bool:
        """Whether nobody here uses it; somebody else on the machine might."""
        return self._first <= port < self._first + self._count and port not in self._used

    def offers(self, *, even: bool = False, pair: bool = False) -> Iterator[int]:
        """Ports to try, each once or twice: only even ones, or only such that the next one up is free as well."""
        for _ in range(TRIES):
            port = self._first + self._below(self._count)
            if self._suits(port, even, pair):
                yield port
        if len(self._used) < self._count:
            start = self._below(self._count)
            for step in range(self._count):
                port = self._first + (start + step) % self._count
                if self._suits(port, even, pair):
                    yield port

    def _suits(self, port: int, even: bool, pair: bool) -> bool:
        if not self.is_free(port) or (even and port % 2):
            return False
        return not pair or self.is_free(port + 1)
