"""The channel bindings of one allocation (RFC 8656 §12): number ↔ peer, one to one, for ten minutes. Pure."""

from __future__ import annotations

from typing import Literal

from atmosphere.turn.server.flow import Address

LIFETIME = 600.0
FIRST, LAST = 0x4000, 0x4FFF

Outcome = Literal["bound", "taken", "full"]


class Channel:
    """One binding."""

    __slots__ = ("number", "peer", "until")

    def __init__(self, number: int, peer: Address, until: float) -> None:
        self.number = number
        self.peer = peer
        self.until = until


class ChannelBindings:
    """The bindings by number and by peer; at most `limit`. The data path reads both directly and checks `until`."""

    __slots__ = ("_limit", "by_number", "by_peer")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.by_number: dict[int, Channel] = {}
        self.by_peer: dict[Address, Channel] = {}

    def __len__(self) -> int:
        return len(self.by_number)

    def check(self, number: int, peer: Address, now: float) -> Outcome:
        """Whether `number` could be bound to `peer`; `taken` when either has another partner (§12.2)."""
        for one in (self.by_number.get(number), self.by_peer.get(peer)):
            if one is None or one.until <= now:
                continue
            return "bound" if (one.number, one.peer) == (number, peer) else "taken"
        if len(self) >= self._limit:
            self._forget(now)
        return "bound" if len(self) < self._limit else "full"

    def bind(self, number: int, peer: Address, now: float) -> Outcome:
        """Bind, or renew a binding."""
        outcome = self.check(number, peer, now)
        if outcome == "bound":
            for old in (self.by_number.get(number), self.by_peer.get(peer)):
                if old is not None:
                    self._remove(old)
            self.by_number[number] = self.by_peer[peer] = Channel(number, peer, now + LIFETIME)
        return outcome

    def _forget(self, now: float) -> None:
        for channel in [channel for channel in self.by_number.values() if channel.until <= now]:
            self._remove(channel)

    def _remove(self, channel: Channel) -> None:
        self.by_number.pop(channel.number, None)
        self.by_peer.pop(channel.peer, None)
