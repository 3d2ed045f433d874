"""Requests of a client that have no answer yet (pure): bounded, and written again after a reconnection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Outbox(Generic[T]):
    """Frames by `ref`, oldest first, each with what its owner waits with."""

    def __init__(self, maximum: int, last_ref: int = 0) -> None:
        self._maximum = maximum
        self._last_ref = last_ref
        self._waiting: dict[int, tuple[bytes, T, str | None]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[bytes]:
        return iter([frame for frame, *_ in self._waiting.values()])

    @property
    def is_full(self) -> bool:
        """Whether nothing more fits."""
        return len(self._waiting) >= self._maximum

    def new_ref(self) -> int:
        """A number that no request has had."""
        self._last_ref += 1
        return self._last_ref

    def add(self, ref: int, frame: bytes, waiter: T, about: str | None = None) -> None:
        """Keep a request until it is answered or given up; `about` is what `withdraw` knows it by."""
        self._waiting[ref] = (frame, waiter, about)

    def withdraw(self, about: str) -> list[T]:
        """The waiters of the requests about this; they are not written any more."""
        refs = [ref for ref, (*_, subject) in self._waiting.items() if subject == about]
        return [self._waiting.pop(ref)[1] for ref in refs]

    def pop(self, ref: int | None) -> T | None:
        """The waiter of an answered request; None when nobody waits for this answer (any more)."""
        entry = self._waiting.pop(ref, None) if ref is not None else None
        return entry[1] if entry else None

    def pop_all(self) -> list[T]:
        """The waiters of everything unanswered; nothing is left."""
        waiters = [waiter for _, waiter, _ in self._waiting.values()]
        self._waiting.clear()
        return waiters
