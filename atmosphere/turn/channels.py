"""The TURN client's channel bindings (RFC 8656 §12): which peer has which number, what waits for it, what is refreshed.

A binding installs a permission too, and the permission is the shorter of the two (300 s against 600 s), so a binding in
use is renewed every `REFRESH` seconds, whether we send or only receive. A number is given to another peer only
`QUARANTINE` seconds after its last binding. Pure: bytes and `now` in, frames and bindings to make out.

    ChannelData:  | channel number (16) | length (16) | application data |
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

FIRST_NUMBER, LAST_NUMBER = 0x4000, 0x4FFF
PERMISSION_LIFETIME = 300.0
CHANNEL_LIFETIME = 600.0
QUARANTINE = CHANNEL_LIFETIME + 300.0
REFRESH = 240.0
MAX_PEERS = 1024
MAX_QUEUED = 16
RETRY_FIRST, RETRY_LAST = 1.0, 60.0

Address = tuple[str, int]
HEADER = struct.Struct("!HH")


@dataclass
class Binding:
    """One peer's channel."""

    address: Address
    number: int
    state: Literal["wanted", "binding", "bound", "failed"] = "wanted"
    bound_at: float = float("-inf")
    used_at: float = float("-inf")
    retry_at: float = 0.0
    backoff: float = RETRY_FIRST
    queue: deque[bytes] = field(default_factory=lambda: deque(maxlen=MAX_QUEUED))
    is_early: bool = False
    """Whether what is in the queue has gone already, behind the request for the binding."""


class Channels:
    """The bindings of one allocation; what cannot be taken is dropped and counted in `dropped`."""

    def __init__(self) -> None:
        self._by_address: dict[Address, Binding] = {}
        self._by_number: dict[int, Binding] = {}
        self._next = FIRST_NUMBER
        self._resting: deque[tuple[float, int]] = deque()
        self._hosts: dict[str, int] = {}
        self._let_in: set[str] = set()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._by_address)

    def frame(self, data: bytes, destination: Address, now: float) -> bytes | None:
        """The ChannelData to send now, or None: it waits for the binding (see `wanted`, `early`), or was dropped."""
        binding = self._by_address.get(destination)
        if binding is None:
            binding = self._new(destination, now)
            if binding is None:
                self.dropped += 1
                return None
        binding.used_at = now
        if now < binding.bound_at + PERMISSION_LIFETIME:
            return HEADER.pack(binding.number, len(data)) + data
        if binding.state == "failed" and now < binding.retry_at:
            self.dropped += 1
            return None
        if binding.state != "binding":
            binding.state, binding.is_early = "wanted", False
        self.dropped += len(binding.queue) == MAX_QUEUED and not binding.is_early
        binding.queue.append(data)
        return HEADER.pack(binding.number, len(data)) + data if binding.is_early else None

    def number(self, destination: Address, now: float) -> int | None:
        """The channel on which data for `destination` can go now; None where that takes a `frame` to find out."""
        binding = self._by_address.get(destination)
        if binding is None or now >= binding.bound_at + PERMISSION_LIFETIME:
            return None
        binding.used_at = now
        return binding.number

    def _new(self, address: Address, now: float) -> Binding | None:
        number = self._number(now) if len(self._by_address) < MAX_PEERS else None
        if number is None:
            return None
        binding = Binding(address, number)
        self._by_address[address] = self._by_number[number] = binding
        self._hosts[address[0]] = self._hosts.get(address[0], 0) + 1
        return binding

    def _number(self, now: float) -> int | None:
        if self._resting and self._resting[0][0] <= now:
            return self._resting.popleft()[1]
        if self._next > LAST_NUMBER:
            return None
        self._next += 1
        return self._next - 1

    def source(self, number: int, now: float) -> Address | None:
        """Whose data comes on this channel, or None for a number that is not bound."""
        binding = self._by_number.get(number)
        if binding is None:
            return None
        binding.used_at = now
        return binding.address

    def let_in(self, host: str) -> None:
        """The server confirmed a permission for this address, whoever may send from there."""
        self._let_in.add(host)

    def permits(self, host: str) -> bool:
        """Whether Data indications from this address count: only where a binding or a permission was asked for (RFC
        8656 §11.4)."""
        return host in self._hosts or host in self._let_in

    def wanted(self, now: float) -> list[Binding]:
        """The bindings to make or renew now; each is `binding` until `bound` or `failed` is told."""
        self._forget(now)
        found = [binding for binding in self._by_address.values() if self._due(binding, now)]
        for binding in found:
            binding.state = "binding"
        return found

    @staticmethod
    def _due(binding: Binding, now: float) -> bool:
        if binding.state == "wanted":
            return True
        renew = binding.used_at > binding.bound_at and now >= binding.bound_at + REFRESH
        if binding.state == "failed":
            return now >= binding.retry_at and (bool(binding.queue) or (renew and isfinite(binding.bound_at)))
        return binding.state == "bound" and renew

    @staticmethod
    def early(binding: Binding) -> list[bytes]:
        """The request for `binding` has been sent: what may go right behind it, for a server binds first.

        Whatever follows goes at once too, and is kept for `bound` to say that it has to go again.
        """
        binding.is_early = True
        return [HEADER.pack(binding.number, len(data)) + data for data in binding.queue]

    def bound(self, binding: Binding, now: float, *, again: bool = False) -> list[bytes]:
        """The server confirmed `binding`: the frames that waited for it, oldest first, and those that went early where
        they have to go `again`."""
        waited = binding.queue if again or not binding.is_early else ()
        frames = [HEADER.pack(binding.number, len(data)) + data for data in waited]
        binding.queue.clear()
        binding.state, binding.bound_at, binding.backoff, binding.is_early = "bound", now, RETRY_FIRST, False
        return frames

    def failed(self, binding: Binding, now: float) -> None:
        """The server refused `binding`, or did not answer: what waited is dropped, a later send tries again."""
        self.dropped += len(binding.queue)
        binding.queue.clear()
        binding.is_early = False
        binding.state, binding.retry_at = "failed", now + binding.backoff
        binding.backoff = min(2 * binding.backoff, RETRY_LAST)

    def deadline(self) -> float | None:
        """When `wanted` next has something to say, or None."""
        return min((due for binding in self._by_address.values() if (due := self._next_due(binding))), default=None)

    @staticmethod
    def _next_due(binding: Binding) -> float | None:
        if binding.state == "failed" and binding.queue:
            return binding.retry_at
        if binding.state in ("bound", "failed") and isfinite(binding.bound_at):
            return max(binding.bound_at + REFRESH, binding.retry_at) if binding.used_at > binding.bound_at else None
        return None

    def _forget(self, now: float) -> None:
        for binding in list(self._by_address.values()):
            idle = now - max(binding.bound_at, binding.used_at)
            if binding.state in ("bound", "failed") and idle >= CHANNEL_LIFETIME:
                del self._by_address[binding.address], self._by_number[binding.number]
                self._resting.append((now + QUARANTINE, binding.number))
                self._release(binding.address[0])

    def _release(self, host: str) -> None:
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
