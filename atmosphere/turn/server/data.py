"""The data path: client → peer, peer → client, and between two allocations of this server (RFC 8656 §10–12). Pure.

What moves here are bursts: lists of datagrams that arrived together, leave together, and are not looked into.
"""

from __future__ import annotations

from collections.abc import Sequence

from atmosphere.turn.server.allocation import Allocation, Relayed, family_of
from atmosphere.turn.server.bursts import frames, segments
from atmosphere.turn.server.flow import Address, Payload
from atmosphere.turn.server.metrics import Metrics
from atmosphere.turn.server.policy import PeerPolicy, Reach
from atmosphere.turn.server.table import Table
from atmosphere.turn.server.wire import data_indication


class DataPath:
    """Moves data between clients and peers, as far as permissions, channels, policy and rates let it."""

    def __init__(self, table: Table, policy: PeerPolicy, metrics: Metrics) -> None:
        self._by_address = table.by_address
        self._reach = policy.reach
        self._counts = metrics.values

    def from_channel(self, allocation: Allocation, number: int, parts: Sequence[Payload], now: float) -> None:
        """A burst of a client's ChannelData, without its headers."""
        channel = allocation.channels.by_number.get(number)
        if channel is None or channel.until <= now:
            self._counts["turn_dropped_channel_total"] += len(parts)
            return
        self.to_peer(allocation, channel.peer, parts, now)

    def to_peer(
        self, allocation: Allocation, peer: Address, parts: Sequence[Payload], now: float, whole: bool = False
    ) -> None:
        """Send a client's datagrams to a peer that it has a permission for; `whole`: not to be fragmented."""
        counts = self._counts
        relayed = allocation.relayed.get(family_of(peer[0]))
        if relayed is None or not allocation.permissions.allows(peer[0], now):
            counts["turn_dropped_permission_total"] += len(parts)
            return
        size = sum(map(len, parts))
        if not allocation.account.spend(size, now):
            counts["turn_dropped_rate_total"] += len(parts)
            return
        target = self._by_address.get(peer)
        if target is not None and target.allocation is not None:
            counts["turn_bytes_inside_total"] += size
            self._to_client(target.allocation, parts, size, relayed.address, now)
        elif self._reach(peer[0]) is Reach.OUTSIDE and relayed.relay is not None:
            relayed.relay.send(parts, peer, whole)
        else:
            counts["turn_dropped_nobody_total"] += len(parts)
            return
        counts["turn_bytes_to_peers_total"] += size
        counts["turn_packets_to_peers_total"] += len(parts)

    def from_peer(self, relayed: Relayed, data: bytes, segment: int, source: Address, now: float) -> None:
        """A burst that arrived at a relayed address."""
        if relayed.allocation is None:
            self._counts["turn_dropped_nobody_total"] += 1
        else:
            self._to_client(relayed.allocation, segments(data, segment), len(data), source, now)

    def _to_client(
        self, allocation: Allocation, parts: Sequence[Payload], size: int, source: Address, now: float
    ) -> None:
        """Hand datagrams of a peer to a client that permits it."""
        counts = self._counts
        if not allocation.permissions.allows(source[0], now):
            counts["turn_dropped_permission_total"] += len(parts)
            return
        if not allocation.account.spend(size, now):
            counts["turn_dropped_rate_total"] += len(parts)
            return
        channel = allocation.channels.by_peer.get(source)
        if channel is not None and channel.until > now:
            messages = frames(channel.number, parts)
        else:
            messages = [data_indication(source, part) for part in parts]
        allocation.flow.write(messages)
        counts["turn_bytes_to_clients_total"] += size
        counts["turn_packets_to_clients_total"] += len(parts)
