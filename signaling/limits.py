"""Token buckets and counts that keep one client, one address and everybody together within bounds (pure)."""

from __future__ import annotations

import heapq
import ipaddress
from collections import OrderedDict


class TokenBucket:
    """Lets `rate` things a second pass on average and `burst` at once."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = now

    def available(self, now: float) -> float:
        """The tokens there are now; negative while a charge is being paid off."""
        self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        return self._tokens

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens, or none when there are not so many."""
        if self.available(now) < cost:
            return False
        self._tokens -= cost
        return True

    def give_back(self) -> None:
        """Undo the taking of one token, at the same time."""
        self._tokens = min(self.burst, self._tokens + 1.0)

    def charge(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens even if there are fewer; the seconds to wait until the debt is paid, 0 without one."""
        self._tokens = self.available(now) - cost
        return max(0.0, -self._tokens / self.rate)


class KeyedBuckets:
    """A token bucket for each key; at most `max_keys`, the longest unused is forgotten first."""

    def __init__(self, rate: float, burst: float, max_keys: int) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._used: dict[str, float] | None = None

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> bool:
        """Take a token of this key, or say that there is none."""
        taken = self._bucket(key, now).take(now)
        if taken and self._used is not None:
            self._used[key] = self._used.get(key, 0.0) + 1.0
        return taken

    def give_back(self, key: str) -> None:
        """Undo the taking of a token of this key, at the same time."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.give_back()
        if self._used is not None and key in self._used:
            self._used[key] -= 1.0

    def _bucket(self, key: str, now: float) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket

    def share(self) -> None:
        """From now on note who takes how many, for `take_used`."""
        self._used = {}

    def take_used(self, maximum: int) -> dict[str, float]:
        """What was taken since the last call by the `maximum` keys that took most."""
        used, self._used = self._used or {}, {}
        return dict(heapq.nlargest(maximum, used.items(), key=lambda item: item[1]))

    def used_elsewhere(self, key: str, amount: float, now: float) -> None:
        """Another server gave this key so many tokens of the same rate; the debt is one burst at most."""
        bucket = self._bucket(key, now)
        bucket.charge(now, min(amount, bucket.available(now) + self._burst))

    def forget_full(self, now: float) -> None:
        """Drop the longest unused buckets that are full again: they say no more than a new one would."""
        while self._buckets:
            key, bucket = next(iter(self._buckets.items()))
            if bucket.available(now) < bucket.burst:
                return
            del self._buckets[key]


class Seats:
    """Counts connections, in all and by key, up to a maximum of each."""

    def __init__(self, in_all: int, per_key: int) -> None:
        self._in_all = in_all
        self._per_key = per_key
        self._taken: dict[str, int] = {}
        self.total = 0

    def take(self, key: str | None) -> str | None:
        """Sit down (None), or why not: "total" or "address". A key of None counts in all only, until it is known."""
        if self.total >= self._in_all:
            return "total"
        if key is not None and not self._take_of(key):
            return "address"
        self.total += 1
        return None

    def name(self, key: str) -> str | None:
        """Give a seat that was taken without a key its key (None), or say why not; then the seat is free again."""
        if self._take_of(key):
            return None
        self.total -= 1
        return "address"

    def leave(self, key: str | None) -> None:
        """Stand up; only after a `take` that gave a seat."""
        self.total -= 1
        if key is None:
            return
        self._taken[key] -= 1
        if not self._taken[key]:
            del self._taken[key]

    def _take_of(self, key: str) -> bool:
        if self._taken.get(key, 0) >= self._per_key:
            return False
        self._taken[key] = self._taken.get(key, 0) + 1
        return True


def address_key(host: str) -> str:
    """What one customer of a provider cannot change at will: an IPv4 address, an IPv6 /64; other text as it is."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
