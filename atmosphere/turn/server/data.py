"""The data path: client → peer, peer → client, and between two allocations of this server (RFC 8656 §10–12). Pure.

What moves here are bursts, as `bursts` has them: a burst in is a burst out, and nobody looks into it.
"""

from __future__ import annotations

from atmosphere.turn.server.allocation import Allocation, Relayed, family_of
from atmosphere.turn.server.bursts import frames, pieces
from atmosphere.turn.server.flow import Address
from atmosphere.turn.server.metrics import Metrics
from atmosphere.turn.server.policy import PeerPolicy
from atmosphere.turn.server.table import Table
from atmosphere.turn.server.wire import data_indication
from atmosphere.udp.window import Parts, Window


class DataPath:
    """Moves data between clients and peers, as far as permissions, channels, policy and rates let it."""

    def __init__(self, table: Table, policy: PeerPolicy, metrics: Metrics) -> None:
        self._by_address = table.by_address
        self._way, self._known_as = policy.way, policy.known_as
        self._counts = metrics.values

    def from_channel(self, allocation: Allocation, number: int, parts: Parts, segment: int, now: float) -> None:
        """A burst of a client's ChannelData, without its headers."""
        channel = allocation.channels.by_number.get(number)
        if channel is None or channel.until <= now:
            self._counts["turn_dropped_channel_total"] += len(parts)
        else:
            self.to_peer(allocation, channel.peer, parts, segment, now)

    def to_peer(
        self, allocation: Allocation, peer: Address, parts: Parts, segment: int, now: float, whole: bool = False
    ) -> None:
        """Send a client's burst to a peer that it has a permission for; `whole`: not to be fragmented."""
        counts, count = self._counts, len(parts)
        relayed = allocation.relayed.get(family_of(peer[0]))
        if relayed is None or not allocation.permissions.allows(peer[0], now):
            counts["turn_dropped_permission_total"] += count
            return
        size = segment * (count - 1) + len(parts[-1])
        if not allocation.account.spend(size, now):
            counts["turn_dropped_rate_total"] += count
            return
        target = self._by_address.get(peer)
        if relayed.shared is not None:
            if peer in relayed.shared.pairs.addresses:
                target = relayed.shared.pairs.partner(relayed, peer, now)
            elif not relayed.shared.claim(relayed, peer, now):
                counts["turn_dropped_claimed_total"] += count
                return
        if target is not None and target.allocation is not None:
            counts["turn_bytes_inside_total"] += size
            self._to_client(target.allocation, parts, segment, size, relayed.address, now)
        elif relayed.relay is not None and (way := self._way(peer)) is not None:
            relayed.relay.send(parts, segment, way, whole)
        else:
            counts["turn_dropped_nobody_total"] += count
            return
        counts["turn_bytes_to_peers_total"] += size
        counts["turn_packets_to_peers_total"] += count

    def from_peer(self, relayed: Relayed, window: Window, size: int, segment: int, source: Address, now: float) -> None:
        """A burst that arrived at a relayed address."""
        parts = window.cut(size, segment)
        if relayed.allocation is None:
            self._counts["turn_dropped_nobody_total"] += len(parts)
        else:
            self._to_client(relayed.allocation, parts, segment, size, self._known_as(source), now)

    def _to_client(
        self, allocation: Allocation, parts: Parts, segment: int, size: int, source: Address, now: float
    ) -> None:
        """Hand a peer's burst to a client that permits it."""
        counts, count = self._counts, len(parts)
        if not allocation.permissions.allows(source[0], now):
            counts["turn_dropped_permission_total"] += count
            return
        if not allocation.account.spend(size, now):
            counts["turn_dropped_rate_total"] += count
            return
        channel, flow = allocation.channels.by_peer.get(source), allocation.flow
        if channel is None or channel.until <= now:
            flow.write([data_indication(source, part) for part in parts])
        elif flow.write_burst is None:
            flow.write(frames(channel.number, parts))
        else:
            flow.write_burst(pieces(channel.number, parts, segment), segment + 4, count)
        counts["turn_bytes_to_clients_total"] += size
        counts["turn_packets_to_clients_total"] += count
