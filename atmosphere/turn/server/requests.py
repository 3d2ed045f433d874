"""The requests about an allocation that is there: Refresh, CreatePermission, ChannelBind (RFC 8656 §8, §10, §12). Pure.

Each gives the attributes of its success response, or raises TurnError and has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from atmosphere.stun.message import Message
from atmosphere.turn.server.allocate import FAMILIES, Allocator
from atmosphere.turn.server.allocation import Allocation, family_of
from atmosphere.turn.server.channels import FIRST, LAST
from atmosphere.turn.server.errors import TurnError
from atmosphere.turn.server.flow import Address
from atmosphere.turn.server.policy import PeerPolicy, Reach
from atmosphere.turn.server.table import Table


class Requests:
    """Answers them; `end(allocation)` ends one."""

    def __init__(
        self, policy: PeerPolicy, allocator: Allocator, table: Table, end: Callable[[Allocation], None]
    ) -> None:
        self._policy = policy
        self._allocator = allocator
        self._table = table
        self._end = end

    def refresh(self, allocation: Allocation, request: Message, now: float) -> dict[str, Any]:
        """Lengthen an allocation's life, or end it with a LIFETIME of 0 (§8.2)."""
        family = request.attributes.get("REQUESTED-ADDRESS-FAMILY")
        if family is not None and FAMILIES.get(family >> 24) not in allocation.relayed:
            raise TurnError(443)
        if request.attributes.get("LIFETIME") == 0:
            self._end(allocation)
            return {"LIFETIME": 0}
        lifetime = self._allocator.lifetime(request)
        shorter = now + lifetime < allocation.expires
        allocation.expires = now + lifetime
        if shorter:
            self._table.shortened(allocation)
        return {"LIFETIME": lifetime}

    def create_permission(self, allocation: Allocation, peers: Sequence[Address], now: float) -> dict[str, Any]:
        """Permit all of these hosts, or none (§10.2)."""
        if not peers:
            raise TurnError(400)
        for host, _ in peers:
            self._judge(allocation, host)
        self._permit(allocation, {host for host, _ in peers}, now)
        return {}

    def channel_bind(self, allocation: Allocation, request: Message, now: float) -> dict[str, Any]:
        """Bind a number to a peer, which permits the peer as well (§12.2)."""
        number, peer = (request.attributes.get(name) for name in ("CHANNEL-NUMBER", "XOR-PEER-ADDRESS"))
        if number is None or peer is None or not FIRST <= number <= LAST:
            raise TurnError(400)
        self._judge(allocation, peer[0])
        outcome = allocation.channels.check(number, peer, now)
        if outcome == "taken":
            raise TurnError(400)
        if outcome == "full":
            raise TurnError(508)
        relayed = allocation.relayed[family_of(peer[0])]
        shared = relayed.shared if relayed.shared is None or peer not in relayed.shared.pairs.addresses else None
        if shared is not None and not shared.may_claim(relayed, peer, now):
            raise TurnError(403)
        self._permit(allocation, {peer[0]}, now)
        if shared is not None:
            shared.claim(relayed, peer, now)
        allocation.channels.bind(number, peer, now)
        return {}

    def _permit(self, allocation: Allocation, hosts: set[str], now: float) -> None:
        if not allocation.permissions.grant(hosts, now):
            raise TurnError(508)
        for host in hosts:
            relayed = allocation.relayed[family_of(host)]
            if relayed.shared is not None:
                relayed.shared.permit(relayed, host, now)

    def _judge(self, allocation: Allocation, host: str) -> None:
        if family_of(host) not in allocation.relayed:
            raise TurnError(443)
        if self._policy.reach(host) is Reach.REFUSED:
            raise TurnError(403)
