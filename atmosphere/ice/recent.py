"""Whom we spoke to lately: what tells a check that got in by itself from one that our own packets let in.

A router lets a stranger's datagram in when it filters by nothing (RFC 4787 §5, endpoint-independent), when a port is
forwarded, or when we sent something there before. Only the first two mean that anybody can reach us. Pure.
"""

from __future__ import annotations

__all__ = ["Recent"]

SECONDS = 300.0
"""A host is remembered for this long and at most twice as long; RFC 4787 §4.3 recommends that a mapping lives 5 min."""
MOST = 4096
"""Hosts in a generation; where there are more, everybody counts as known until it is over."""


class Recent:
    """The hosts that each base sent to; by generations, so that forgetting costs nothing."""

    def __init__(self, now: float) -> None:
        self._new: set[tuple[int, str]] = set()
        self._old: set[tuple[int, str]] = set()
        self._turned = now

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def add(self, base: int, host: str, now: float) -> None:
        """Something was sent from that base to that host (a literal address)."""
        self._turn(now)
        if len(self._new) < MOST:
            self._new.add((base, host))

    def knows(self, base: int, host: str, now: float) -> bool:
        """Whether that base may have sent to that host lately."""
        self._turn(now)
        full = len(self._new) >= MOST or len(self._old) >= MOST
        return full or (base, host) in self._new or (base, host) in self._old

    def _turn(self, now: float) -> None:
        if now - self._turned >= SECONDS:
            self._old = self._new if now - self._turned < 2 * SECONDS else set()
            self._new = set()
            self._turned = now
