"""atmosphere.mesh.relaying: from contacts to the endpoint's TURN servers."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.health import ServerHealth
from atmosphere.mesh import contacts
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.relay_users import RelayUsers
from atmosphere.mesh.relaying import Relaying
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.servers import Servers
from atmosphere.mesh.store import Home
from atmosphere.turn.uri import TurnServer
from tests.mesh.fakes import founder, member


class Node:
    """A founder, what it knows of others, and the relays that it comes to use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.roster = founder(folder)
        self.health: list[ServerHealth] = []
        self.addresses = ["192.168.1.5"]
        self.using: list[TurnServer] = []
        self.places: list[str] = []
        endpoint = SimpleNamespace(servers=lambda: self.health, addresses=self.addresses)
        self.relaying = Relaying(
            self.roster,
            RelayUsers(self.home.identity, lambda: self.roster.mesh_id_bytes, self.roster.public_key),
            cast("IceEndpoint", endpoint),
            cast("Servers", SimpleNamespace(offer=self._offered)),
            cast("Meeting", SimpleNamespace(visit=self._visits)),
        )

    def _offered(self, servers: Any) -> None:
        self.using = list(servers)

    def _visits(self, urls: Any) -> None:
        self.places = list(urls)

    def tells(self, home: Home, *relays: str) -> None:
        """That node says where it relays."""
        contact = contacts.Contact(home.identity.node_id, time.time(), [], [], list(relays))
        assert self.roster.add_contacts([contacts.sign(contact, home.identity.sign)])

    def update(self) -> list[str]:
        self.relaying.update()
        return [str(server) for server in self.using]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def users_of(home: Home, roster: Roster) -> RelayUsers:
    return RelayUsers(home.identity, lambda: roster.mesh_id_bytes, roster.public_key)


def test_a_member_that_offers_is_used_with_the_secret_of_the_two(node: Node) -> None:
    home, roster = member(node.folder, "beta", node.roster)
    assert node.update() == []
    node.tells(home, "turn:198.51.100.1:7777")
    assert node.update() == ["turn:198.51.100.1:7777"]
    [server] = node.using
    assert server.username == node.roster.own_id
    assert server.lender == home.identity.node_id
    assert server.password == users_of(home, roster).password(node.roster.own_id, 0.0)
    assert server.expires_at is None


def test_whoever_may_invite_waits_where_it_relays(node: Node) -> None:
    for number, name in ((1, "beta"), (2, "gamma")):
        node.addresses.append("2001:db8::5")
        uri = f"turn:198.51.100.{number}:7777" if number == 1 else f"turn:[2001:db8::{number}]:7777"
        node.tells(member(node.folder, name, node.roster)[0], uri)
    node.update()
    assert node.places == ["ws://198.51.100.1:7777", "ws://[2001:db8::2]:7777"]
    other = Node(node.folder / "elsewhere")
    assert other.update() == []
    assert other.places == []


def test_a_removed_member_is_used_no_more(node: Node) -> None:
    home, _ = member(node.folder, "beta", node.roster)
    node.tells(home, "turn:198.51.100.1:7777")
    node.update()
    node.roster.revoke(home.identity.node_id)
    assert node.update() == []


def test_a_node_does_not_relay_through_itself(node: Node) -> None:
    node.tells(node.home, "turn:198.51.100.1:7777")
    assert node.update() == []


def test_who_was_removed_itself_asks_nobody(node: Node) -> None:
    home, _ = member(node.folder, "beta", node.roster)
    node.tells(home, "turn:198.51.100.1:7777")
    node.roster.farewell()
    assert not node.roster.is_member
    assert node.update() == []


def test_a_local_ipv6_address_leads_nowhere(node: Node) -> None:
    home, _ = member(node.folder, "beta", node.roster)
    node.tells(home, "turn:[2001:db8::1]:7777")
    assert node.update() == []
    node.addresses.append("fd00::5")
    assert node.update() == []
    node.addresses.append("2001:db8::5")
    assert node.update() == ["turn:[2001:db8::1]:7777"]


def test_one_that_fails_gives_way(node: Node) -> None:
    for number, name in enumerate(("beta", "gamma", "delta")):
        node.tells(member(node.folder, name, node.roster)[0], f"turn:198.51.100.{number}:7777")
    first, second = node.update()
    node.health = [ServerHealth(first, "turn", False), ServerHealth(second, "turn", True)]
    assert first not in node.update()


def test_findings_for_explain(node: Node) -> None:
    [line] = node.relaying.findings()
    assert "no member offers its own" in line
    node.health = [
        ServerHealth("stun:198.51.100.1", "stun", True),
        ServerHealth("turn:198.51.100.1", "turn", True),
        ServerHealth("turn:198.51.100.2", "turn"),
        ServerHealth("turn:198.51.100.3", "turn", False, error="connection refused"),
        ServerHealth("turn:198.51.100.4", "turn", False),
    ]
    assert node.relaying.findings() == [
        "relay turn:198.51.100.1: ok",
        "relay turn:198.51.100.2: asked, no answer yet",
        "relay turn:198.51.100.3: failed: connection refused",
        "relay turn:198.51.100.4: failed: no answer",
    ]
