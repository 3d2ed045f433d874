"""The merging of configured, lent and members' servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from atmosphere.mesh import servers as module
from atmosphere.mesh.listeners import NodeSettings
from atmosphere.mesh.servers import MAX_LENT, MAX_MEMBERS, Servers, usable
from atmosphere.turn.uri import TurnServer, parse_stun, parse_turn
from signaling.turn_credentials import TurnServer as Lent
from tests.until import until

OWN = "turn:u:p@192.0.2.4"


class Given(list[tuple[TurnServer, ...]]):
    """What an endpoint would be told, one entry a change."""

    def set_servers(self, stun: tuple[Any, ...], turn: tuple[TurnServer, ...]) -> None:
        self.append(turn)

    @property
    def hosts(self) -> list[list[str]]:
        return [[server.uri.host for server in turn] for turn in self]


@pytest.fixture
def given() -> Given:
    return Given()


@pytest.fixture
async def servers(given: Given) -> Any:
    made = Servers(NodeSettings(stun=(), turn=(OWN,)), given.set_servers)
    yield made
    made.close()


def lent(*uris: str) -> Lent:
    return Lent(list(uris), "lender", "p", 60)


def offered(*hosts: str) -> Iterator[TurnServer]:
    return (parse_turn(f"turn:{host}:7777", username="member", password="p") for host in hosts)


async def test_what_is_lent_comes_after_our_own_and_members_last(
    servers: Servers, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    servers.offer(offered("192.0.2.6"))
    servers.lend([lent("turn:192.0.2.5", "turn:192.0.2.6:99999")])
    await until(lambda: len(given) == 2)
    assert given.hosts == [["192.0.2.4", "192.0.2.6"], ["192.0.2.4", "192.0.2.5", "192.0.2.6"]]
    servers.offer([])
    await until(lambda: len(given) == 3)
    assert given.hosts[-1] == ["192.0.2.4", "192.0.2.5"]


async def test_changes_are_few_and_the_last_one_counts(
    servers: Servers, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.05)
    for number in range(1, 50):
        servers.lend([lent(f"turn:192.0.2.{100 + number}")])
        servers.offer(offered(f"198.51.100.{number}"))
    assert len(given) == 1
    await until(lambda: len(given) == 2)
    assert given.hosts[1] == ["192.0.2.4", "192.0.2.149", "198.51.100.49"]
    await asyncio.sleep(0.2)
    assert len(given) == 2


async def test_what_changes_nothing_is_no_change(servers: Servers, given: Given) -> None:
    servers.lend([])
    servers.offer([])
    assert given == []


async def test_nobody_takes_the_place_of_a_more_trusted_server(
    servers: Servers, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    servers.lend([lent("turn:192.0.2.4", "turn:192.0.2.5:7777")])
    servers.offer(offered("192.0.2.4", "192.0.2.5"))
    await until(lambda: len(given) == 2)
    by_uri = {str(server): server.username for server in given[-1]}
    assert by_uri == {"turn:192.0.2.4": "u", "turn:192.0.2.4:7777": "member", "turn:192.0.2.5:7777": "lender"}


async def test_members_offer_a_few_at_most(servers: Servers, given: Given) -> None:
    servers.offer(offered(*(f"198.51.100.{number}" for number in range(1, 20))))
    assert len(given[0]) == 1 + MAX_MEMBERS


async def test_nobody_who_lends_crowds_out_the_others() -> None:
    greedy = lent(*(f"turn:192.0.2.{number}" for number in range(1, 9)))
    other = lent("turn:[]", "turn:198.51.100.1")
    found = [str(server) for server in usable([greedy, greedy, other])]
    assert len(found) == MAX_LENT
    assert any("198.51.100.1" in server for server in found)


async def test_the_host_of_a_code_is_asked_for_a_while(
    servers: Servers, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setattr(module, "JOINING", 0.1)
    servers.join([], [parse_turn("turn:192.0.2.9:7777", username="invite", password="p")])
    assert [server.username for server in given[-1]] == ["u", "invite"]
    # The joiner became a member, and its host relays for members.
    servers.offer(offered("192.0.2.9"))
    await until(lambda: len(given) == 2)
    assert [server.username for server in given[-1]] == ["u", "member"]
    servers.join([], [parse_turn("turn:192.0.2.10:7777", username="invite", password="p")])
    await until(lambda: len(given) == 4)
    assert given.hosts[2:] == [["192.0.2.4", "192.0.2.9", "192.0.2.10"], ["192.0.2.4", "192.0.2.9"]]


async def test_who_tells_a_joiner_where_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setattr(module, "JOINING", 0.05)
    asked: list[list[str]] = []
    own, other = parse_stun("192.0.2.1"), parse_stun("192.0.2.2:7777")
    made = Servers(NodeSettings(stun=(str(own),)), lambda stun, turn: asked.append([str(uri) for uri in stun]))
    made.join([other], [])
    await until(lambda: len(asked) == 2)
    assert asked == [[str(own), str(other)], [str(own)]]
    made.close()
