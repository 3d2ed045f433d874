"""Every limit of a signaling server, with its default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from signaling.messages import MAX_MESSAGE, MAX_WATCHED


@dataclass(frozen=True)
class Settings:
    """How much a server gives to whom; times in seconds, sizes in bytes.

    Rates are token buckets: so many a second on average, `…_burst` at once. An address is an IPv4 address or a /64.
    """

    hosts: tuple[str, ...] = ()
    """The names this server is dialed by (`example.org`, `example.org:8080`); others are refused. Empty: any."""

    path_prefix: str = ""
    """What stands before the paths of this page when a reverse proxy passes them on as they are (`/atmosphere`)."""

    allow_origins: tuple[str, ...] = ()
    """Websites other than our own whose pages may connect (`https://example.org`; `*`: any)."""

    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) of reverse proxies whose X-Forwarded-For is believed."""

    handshake_timeout: float = 5.0
    max_message: int = MAX_MESSAGE
    keepalive: float = 20.0
    sweep_interval: float = 1.0
    """Seconds between two passes over all connections for pings, dead ones, expired mailboxes and fresh credentials."""

    max_connections: int = 20_000
    max_connections_per_address: int = 256
    handshakes_per_address: float = 20.0
    handshakes_per_address_burst: float = 300.0
    handshakes: float = 300.0
    handshakes_burst: float = 500.0
    """What one core has done within the seconds that a client waits. A crowd that is let in all at once makes each wait
    for all, give up, and come again."""

    messages_per_connection: float = 50.0
    messages_per_connection_burst: float = 200.0
    messages_per_address: float = 500.0
    messages_per_address_burst: float = 2_000.0
    messages: float = 5_000.0
    messages_burst: float = 20_000.0
    malformed_per_connection: int = 16
    """A connection that sends this many unreadable frames is closed."""

    mailbox_messages: int = 64
    mailbox_bytes: int = 64 * 1024
    mailbox_messages_per_sender: int = 32
    mailboxes_bytes: int = 32 * 1024 * 1024
    in_flight_messages: int = 256
    in_flight_bytes: int = 192 * 1024
    """In a cluster, what a receiver who is connected may have without having said `got`."""

    max_ttl: float = 120.0
    remembered_ids: int = 16_384
    """How many delivered messages are remembered, so that a resend is not delivered again."""

    topics_per_connection: int = 32
    subscribers_per_topic: int = 256
    watched_per_connection: int = MAX_WATCHED

    outgoing_bytes: int = 256 * 1024
    """What may wait for one reader; it is cut when it gets further behind."""

    outgoing_bytes_in_all: int = 64 * 1024 * 1024
    """What may wait for all readers that are behind: each may have its share of it."""

    tracked_addresses: int = 10_000
    drain_within: float = 2.0

    def override(self, texts: Iterable[str]) -> Self:
        """The same with numbers changed, each by a text `NAME=VALUE`; raises ValueError, whose message is one line."""
        changes: dict[str, Any] = {}
        for text in texts:
            name, _, value = text.partition("=")
            name = name.strip().replace("-", "_")
            default = getattr(self, name) if f"limit_{name}" in self.limits() else None
            if default is None:
                raise ValueError(f"there is no limit {name!r}; there are {', '.join(self._names())}")
            try:
                changes[name] = int(value) if isinstance(default, int) else float(value)
            except ValueError:
                changes[name] = -1
            if not 0 < changes[name] < 2**53:
                raise ValueError(f"{text!r}: a limit is a{' whole' if isinstance(default, int) else ''} number above 0")
        return replace(self, **changes)

    def _names(self) -> list[str]:
        return [name.removeprefix("limit_") for name in self.limits()]

    def limits(self) -> dict[str, float]:
        """Every number here by the name of its gauge."""
        numbers = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {f"limit_{name}": value for name, value in numbers if isinstance(value, int | float)}
