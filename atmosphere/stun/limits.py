"""How often one source may ask: a token bucket a source, in a table of fixed size. Pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


class SourceLimiter:
    """Lets each source address (an IPv6 /64 counts as one) through `rate` times a second, `burst` times at once.

    At most `size` sources are remembered; the one longest unseen is forgotten first, which makes it a new source.
    """

    def __init__(self, *, rate: float, burst: float, size: int = 4096) -> None:
        self._rate = rate
        self._burst = burst
        self._size = size
        self._buckets: dict[bytes, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def allow(self, host: str, now: float) -> bool:
        """Whether a datagram from `host` at `now` is within its share; a denied one costs the source nothing more."""
        key = source_key(host)
        tokens, seen = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - seen) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > self._size:
            del self._buckets[next(iter(self._buckets))]
        return allowed


@lru_cache(maxsize=1024)
def source_key(host: str) -> bytes:
    """What is limited together: an IPv4 address, however it is written, or an IPv6 /64."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.encode(errors="replace")[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.packed
    return ip.ipv4_mapped.packed if ip.ipv4_mapped else ip.packed[:8]
