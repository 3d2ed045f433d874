"""Relaying through members: follows contacts, memberships and how relays do, and keeps the choice current."""

from __future__ import annotations

import time

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.member_relays import Choice, Offer, offer_of
from atmosphere.mesh.reachability import is_everywhere
from atmosphere.mesh.relay_users import RelayUsers
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.servers import Servers
from atmosphere.turn.uri import ServerUri, TurnServer

__all__ = ["Relaying"]


class Relaying:
    """What members offer, as TURN servers of the endpoint; call `update` now and then, and when something changed.

    A member that can be reached is a meeting place too, for its port answers WebSockets. Whoever may invite waits
    there, so that a joiner who cannot reach the inviter can leave word.
    """

    def __init__(
        self, roster: Roster, users: RelayUsers, endpoint: IceEndpoint, servers: Servers, meeting: Meeting
    ) -> None:
        self._roster = roster
        self._users = users
        self._endpoint = endpoint
        self._servers = servers
        self._meeting = meeting
        self._choice = Choice()

    def update(self) -> None:
        """Choose anew among the relays that members offer now, and use them."""
        health = {server.uri: server.ok for server in self._endpoint.servers()}
        chosen = self._choice.choose(
            self._roster.mesh_id_bytes, self._offers(), self._families(), health, time.monotonic()
        )
        passwords = [(uri, self._users.own_password(node_id), node_id) for node_id, uri in chosen]
        own_id = self._roster.own_id
        self._servers.offer(
            TurnServer(uri, own_id, password, lender) for uri, password, lender in passwords if password is not None
        )
        self._meeting.visit(_place(uri) for _, uri in chosen if self._roster.may_invite())

    def _offers(self) -> list[Offer]:
        if not self._roster.is_member:
            return []
        found = [self._roster.contacts.get(node_id) for node_id in self._roster.members()]
        offers = [
            offer_of(contact.node_id, contact.relays)
            for contact in found
            if contact is not None and contact.node_id != self._roster.own_id
        ]
        return [offer for offer in offers if offer is not None]

    def _families(self) -> set[int]:
        """Those in which we can ask somebody far away: IPv6 of local use leads nowhere, private IPv4 to a router."""
        addresses = self._endpoint.addresses
        return {6 if ":" in one else 4 for one in addresses if ":" not in one or is_everywhere(one)}

    def findings(self) -> list[str]:
        """How each relay does that could lead to others, a line each, for `explain`."""
        relays = [server for server in self._endpoint.servers() if server.kind == "turn"]
        if not relays:
            return ["no relay to fall back on: no TURN server is configured or lent, and no member offers its own"]
        return [f"relay {relay.uri}: {_how(relay.ok, relay.error)}" for relay in relays]


def _place(uri: ServerUri) -> str:
    return f"ws://[{uri.host}]:{uri.port}" if ":" in uri.host else f"ws://{uri.host}:{uri.port}"


def _how(ok: bool | None, error: str | None) -> str:
    if ok is None:
        return "asked, no answer yet"
    return "ok" if ok else f"failed: {error or 'no answer'}"
