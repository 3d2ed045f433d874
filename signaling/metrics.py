"""What a server counts, as a dict for /stats and as Prometheus text for /metrics (text format 0.0.4).

Written without prometheus-client: two dozen plain counters and gauges need no registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from signaling.settings import Settings

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

LIMITED: Final = (
    "max_connections",
    "max_connections_per_address",
    "handshakes",
    "handshakes_per_address",
    "max_head",
    "max_message",
    "messages",
    "messages_per_address",
    "messages_per_connection",
    "malformed_per_connection",
    "mailbox_messages",
    "mailbox_messages_per_sender",
    "mailbox_bytes",
    "mailboxes_bytes",
    "in_flight_messages",
    "in_flight_bytes",
    "topics_per_connection",
    "subscribers_per_topic",
    "watched_per_connection",
    "outgoing_bytes",
    "outgoing_bytes_in_all",
)
"""Settings that refuse, delay or cut; each counts how often it did."""

COUNTERS: Final = {
    "connections_total": "TCP connections accepted",
    "connections_refused_total": "connections refused because of a limit on them",
    "origins_refused_total": "WebSockets refused because of the website they came from",
    "http_requests_total": "plain HTTP requests answered",
    "handshakes_total": "clients that proved their id",
    "handshakes_failed_total": "clients that did not: no hello in time, unreadable, wrong signature",
    "frames_received_total": "frames received from clients",
    "frames_sent_total": "frames sent to clients",
    "frames_malformed_total": "frames that were no message of the protocol",
    "messages_delivered_total": "messages written to a receiver's connection",
    "messages_queued_total": "messages put into a mailbox",
    "messages_duplicate_total": "messages that had come before under the same id",
    "messages_offline_total": "messages refused because the receiver was away",
    "messages_full_total": "messages refused because a mailbox was full",
    "messages_expired_total": "messages that nobody fetched from a mailbox in time",
    "messages_busy_total": "messages refused because of a rate",
    "messages_delayed_total": "messages read later because their connection was over its rate",
    "forbidden_total": "requests of strangers refused by a server for members",
    "limits_refused_total": "subscriptions and watches refused because of a limit",
    "cluster_frames_sent_total": "frames sent to other instances",
    "cluster_frames_received_total": "frames of other instances",
    "cluster_frames_malformed_total": "frames in the cluster that could not be read",
    "copies_taken_total": "messages kept for another instance of the cluster",
    "instances_lost_total": "instances of the cluster that fell silent",
    "replaced_total": "connections replaced by a newer one of the same id",
    "slow_cut_total": "connections cut because they did not read",
    "silent_cut_total": "connections cut because they did not answer pings",
    **{f"limited_{name}_total": f"how often the setting {name} refused, delayed or cut" for name in LIMITED},
}

GAUGES: Final = {
    "up_seconds": "seconds since the start",
    "draining": "1 while the server is going",
    "connections": "TCP connections now",
    "nodes": "nodes connected now",
    "mailboxes": "mailboxes that hold something",
    "mailbox_messages": "messages in mailboxes",
    "mailbox_bytes": "bytes in mailboxes",
    "topics": "topics with a subscriber",
    "watching_nodes": "nodes that watch others",
    "readers_behind": "connections with something unsent",
    "tracked_addresses": "addresses with a rate of their own",
    "cluster_joined": "1 while the instance hears its cluster",
    "cluster_instances": "instances that live, with this one",
    "cluster_nodes": "nodes connected to any instance",
    "cluster_copies": "messages held until their receivers have them",
    "cluster_copies_unsettled": "those of them that wait for a second copy or for their receiver",
    "cluster_frames_dropped": "frames that NATS did not take",
    **{name: f"the setting {name.removeprefix('limit_')}" for name in Settings().limits()},
}


class Source(Protocol):
    """Numbers of another part of the same program; their names begin with what they are of (`turn_…`)."""

    def as_dict(self) -> dict[str, float]:
        """All numbers by name."""

    def as_prometheus(self) -> str:
        """Their part of /metrics, each line ended."""


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._counters = dict.fromkeys(COUNTERS, 0)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter named in COUNTERS."""
        self._counters[name] += by

    def __getitem__(self, name: str) -> int:
        return self._counters[name]

    def as_dict(self, gauges: Mapping[str, float]) -> dict[str, float]:
        """All numbers by name."""
        return {**gauges, **self._counters}

    def as_prometheus(self, gauges: Mapping[str, float]) -> str:
        """The text of /metrics."""
        return exposition("signaling_", GAUGES, gauges) + exposition("signaling_", COUNTERS, self._counters)


def exposition(prefix: str, texts: Mapping[str, str], values: Mapping[str, float]) -> str:
    """Numbers as Prometheus text, each with its line of help; a name that ends in `_total` is a counter's."""
    lines: list[str] = []
    for name, value in values.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        full = f"{prefix}{name}"
        lines += [f"# HELP {full} {texts[name]}", f"# TYPE {full} {kind}", f"{full} {value}"]
    return "".join(f"{line}\n" for line in lines)
