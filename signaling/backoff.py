"""How long to wait before the next try (pure)."""

from __future__ import annotations

import random
from collections.abc import Callable

_RANDOM = random.SystemRandom()


class Backoff:
    """Delays that double from `first` to `longest` seconds; each is drawn between half of that and the whole."""

    def __init__(self, first: float = 0.5, longest: float = 30.0, draw: Callable[[], float] = _RANDOM.random) -> None:
        self._first = first
        self._longest = longest
        self._draw = draw
        self._delay = first

    def next(self) -> float:
        """Seconds to wait now; the next answer is longer."""
        delay = self._delay * (0.5 + self._draw() / 2)
        self._delay = min(self._longest, self._delay * 2)
        return delay

    def longest(self) -> float:
        """The longest delay at once, for a server that has told us to stay away."""
        self._delay = self._longest
        return self.next()

    def reset(self) -> None:
        """Begin again with the first delay, after a success."""
        self._delay = self._first
