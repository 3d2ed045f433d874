"""The permissions of one allocation (RFC 8656 §9): which hosts may send to its client, for five minutes each. Pure."""

from __future__ import annotations

from collections.abc import Collection

LIFETIME = 300.0


class Permissions:
    """Hosts and until when; at most `limit` at once."""

    __slots__ = ("_limit", "until")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.until: dict[str, float] = {}
        """Host → monotonic seconds; what lies in the past does not count. The data path reads it directly."""

    def __len__(self) -> int:
        return len(self.until)

    def allows(self, host: str, now: float) -> bool:
        """Whether datagrams of `host` pass."""
        return self.until.get(host, now) > now

    def grant(self, hosts: Collection[str], now: float) -> bool:
        """Install or renew permissions for all of `hosts`; False, and nothing done, where that is too many."""
        if len(self.until.keys() | hosts) > self._limit:
            self._forget(now)
            if len(self.until.keys() | hosts) > self._limit:
                return False
        for host in hosts:
            self.until[host] = now + LIFETIME
        return True

    def _forget(self, now: float) -> None:
        for host in [host for host, until in self.until.items() if until <= now]:
            del self.until[host]
