"""What the relay counts, by names that Prometheus takes. Pure."""

from __future__ import annotations

from typing import Final

COUNTERS: Final = {
    "turn_requests_total": "TURN requests received",
    "turn_allocated_total": "allocations made",
    "turn_challenged_total": "requests without credentials, or with an old nonce, that were told how to sign",
    "turn_unanswered_total": "requests left without an answer, as their source had not proved to be real",
    "turn_unauthorized_total": "requests with wrong credentials",
    "turn_refused_peer_total": "permissions and channels refused because of the peer's address",
    "turn_refused_quota_total": "allocations refused because of a user's or an address's quota",
    "turn_refused_capacity_total": "requests refused because the server is full",
    "turn_refused_other_total": "requests refused for other reasons",
    "turn_malformed_total": "messages that could not be read",
    "turn_bytes_to_peers_total": "bytes of application data relayed from clients to peers",
    "turn_packets_to_peers_total": "datagrams relayed from clients to peers",
    "turn_bytes_to_clients_total": "bytes of application data relayed from peers to clients",
    "turn_packets_to_clients_total": "datagrams relayed from peers to clients",
    "turn_bytes_inside_total": "bytes handed over between two allocations of this server",
    "turn_dropped_permission_total": "datagrams dropped for want of a permission",
    "turn_dropped_channel_total": "datagrams dropped because their channel is not bound, or nobody has an allocation",
    "turn_dropped_rate_total": "datagrams dropped because a user was over its rate",
    "turn_dropped_nobody_total": "datagrams dropped because no allocation has the relayed address they were for",
    "turn_dropped_claimed_total": "datagrams dropped because their peer talks to another allocation (one shared port)",
    "turn_dropped_full_total": "datagrams dropped because a socket or a user's queue was full",
}

DERIVED: Final = {
    "turn_bytes_relayed_total": "bytes of application data relayed, both directions",
    "turn_packets_relayed_total": "datagrams relayed, both directions",
    "turn_socket_errors_total": "errors of relayed sockets, which are told to nobody",
}
"""Counters that are made of others when somebody asks."""

GAUGES: Final = {
    "turn_allocations": "allocations now",
    "turn_users": "users with an allocation now",
    "turn_reservations": "ports kept for a second allocation now",
    "turn_queued_bytes": "bytes that wait for a socket now",
    "turn_tracked_sources": "sources of unproven requests that are remembered",
}


class Metrics:
    """The counters of one relay."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values = dict.fromkeys(COUNTERS, 0)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter named in COUNTERS."""
        self.values[name] += by
