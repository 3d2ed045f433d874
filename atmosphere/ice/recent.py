"""Where we sent to lately: what tells a check that got in by itself from one that our own packets let in. Pure.

A router lets a stranger's datagram in when it filters by nothing (RFC 4787 §5, endpoint-independent), when a port is
forwarded, or when we sent something there before. What comes from where nothing was sent means that others can reach
us: everybody, or (where it filters by address alone) everybody we talk to.
"""

from __future__ import annotations

__all__ = ["Recent"]

Address = tuple[str, int]

SECONDS = 300.0
"""An address is remembered for this long, twice as long at most; RFC 4787 §4.3 has mappings live 5 minutes."""
MOST = 4096
"""Addresses in a generation; where there are more, every one counts as known until it is over."""


class Recent:
    """The addresses that each base sent to; by generations, so that forgetting costs nothing."""

    def __init__(self, now: float) -> None:
        self._new: set[tuple[int, Address]] = set()
        self._old: set[tuple[int, Address]] = set()
        self._turned = now

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def add(self, base: int, address: Address, now: float) -> None:
        """Something was sent from that base to that address and port."""
        self._turn(now)
        if len(self._new) < MOST:
            self._new.add((base, address))

    def knows(self, base: int, address: Address, now: float) -> bool:
        """Whether that base may have sent there lately."""
        self._turn(now)
        full = len(self._new) >= MOST or len(self._old) >= MOST
        return full or (base, address) in self._new or (base, address) in self._old

    def _turn(self, now: float) -> None:
        if now - self._turned >= SECONDS:
            self._old = self._new if now - self._turned < 2 * SECONDS else set()
            self._new = set()
            self._turned = now
