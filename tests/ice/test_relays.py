"""atmosphere.ice.relays, on a server that misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from atmosphere.ice import relays as module
from atmosphere.ice.relays import Relays
from atmosphere.stun.library import stun
from atmosphere.stun.message import Method
from atmosphere.turn import client
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.uri import TurnServer, parse_turn
from tests.turn.fake_server import PASSWORD, USER, FakeTurnServer
from tests.until import until


class Told:
    """What the relays say."""

    def __init__(self) -> None:
        self.open: list[Allocation] = []
        self.errors: list[str] = []
        self.relays = Relays(self.opened, self.closed, self.failed)

    def opened(self, uri: str, allocation: Allocation) -> None:
        self.open.append(allocation)

    def closed(self, allocation: Allocation) -> None:
        if allocation in self.open:
            self.open.remove(allocation)

    def failed(self, uri: str, error: str) -> None:
        self.errors.append(error)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_FIRST", 0.02)
    monkeypatch.setattr(module, "OVERLAP", 0.01)
    monkeypatch.setattr(client, "LAST_QUESTION", 0.05)
    monkeypatch.setattr(stun, "RETRY_RTO", 0.02)


@pytest.fixture
async def server() -> AsyncIterator[FakeTurnServer]:
    with FakeTurnServer() as server:
        yield server


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    told = Told()
    yield told
    await told.relays.close()
    assert told.open == []


def turn(server: FakeTurnServer, password: str = PASSWORD, query: str = "?transport=udp") -> TurnServer:
    return parse_turn(f"turn:{USER}:{password}@127.0.0.1:{server.address[1]}{query}")


async def test_a_lost_allocation_is_made_again(server: FakeTurnServer, told: Told) -> None:
    told.relays.set_servers((turn(server),))
    await until(lambda: told.open)
    first = told.open[0]
    server.silent |= {Method.BINDING, Method.REFRESH}
    told.relays.hurry()
    await until(lambda: told.errors == ["no answer"])
    await until(lambda: told.open and told.open[0] is not first)


async def test_after_a_move_another_allocation_stands_before_the_old_is_found_dead(
    server: FakeTurnServer, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes to the address that we had, and to ask there and wait would take seconds."""
    told.relays.set_servers((turn(server),))
    await until(lambda: told.open)
    first = told.open[0]
    server.silent |= {Method.BINDING, Method.REFRESH}
    monkeypatch.setattr(client, "source_for", lambda destination: "127.0.0.9")
    told.relays.hurry()
    await until(lambda: len(told.open) == 2)
    assert first.is_open
    assert told.errors == []
    await until(lambda: first not in told.open)
    told.relays.hurry()
    await until(lambda: server.requests[Method.ALLOCATE] == 6)  # each one is asked for twice: the first is refused


async def test_a_server_that_is_not_there_is_asked_again(server: FakeTurnServer, told: Told) -> None:
    server.refused[Method.ALLOCATE] = 486
    told.relays.set_servers((turn(server),))
    await until(lambda: told.errors)
    assert told.errors == ["the user's quota of allocations is used up"]
    server.refused.clear()
    told.relays.hurry()
    await until(lambda: told.open)


async def test_new_credentials_are_tried_at_once_where_the_old_were_refused(server: FakeTurnServer, told: Told) -> None:
    told.relays.set_servers((turn(server, password="wrong"),))
    await until(lambda: told.errors)
    told.relays.set_servers((turn(server),))
    await until(lambda: told.open)


async def test_new_credentials_do_not_disturb_an_allocation_before_the_old_end(
    server: FakeTurnServer, told: Told
) -> None:
    told.relays.set_servers((turn(server),))
    await until(lambda: told.open)
    first = told.open[0]
    told.relays.set_servers((turn(server, password="newer"),))
    await until(lambda: server.requests[Method.BINDING])
    assert told.open == [first]


@pytest.mark.parametrize("jump", [-3e7, 3e7])
async def test_a_wall_clock_that_jumps_costs_no_allocation(
    server: FakeTurnServer, told: Told, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    now = time.time()
    username = f"{now + 3600:.0f}:anna"
    monkeypatch.setattr("tests.turn.fake_server.USERS", (username,))
    uri = turn(server).uri
    told.relays.set_servers((TurnServer(uri, username, PASSWORD),))
    await until(lambda: told.open)
    first = told.open[0]
    monkeypatch.setattr("time.time", lambda: now + jump)
    for _ in range(3):
        asked = server.requests[Method.BINDING]
        told.relays.hurry()
        await until(lambda asked=asked: server.requests[Method.BINDING] > asked)  # type: ignore[misc]
    assert told.open == [first]
    assert server.requests[Method.ALLOCATE] <= 2
    assert told.errors == []


async def test_another_user_gets_an_allocation_of_its_own_before_the_former_one_goes(
    server: FakeTurnServer, told: Told
) -> None:
    """A joiner becomes a member; what it had under the code's credentials ends with the code."""
    told.relays.set_servers((TurnServer(turn(server).uri, "invite", PASSWORD),))
    await until(lambda: told.open)
    first = told.open[0]
    told.relays.set_servers((turn(server),))
    await until(lambda: len(told.open) == 2)
    assert first.is_open
    await until(lambda: told.open and first not in told.open)
    assert told.errors == []


async def test_udp_goes_first_and_tcp_helps_out(server: FakeTurnServer, told: Told) -> None:
    told.relays.set_servers((turn(server, query=""),))
    await until(lambda: told.open)
    assert told.open[0].endpoint.transport == "udp"


async def test_a_server_left_out_is_given_up(server: FakeTurnServer, told: Told) -> None:
    told.relays.set_servers((turn(server),))
    await until(lambda: told.open)
    told.relays.set_servers(())
    await until(lambda: not told.open)
    await until(lambda: server.requests[Method.REFRESH])


async def test_closing_while_an_allocation_is_being_made(server: FakeTurnServer, told: Told) -> None:
    server.silent.add(Method.ALLOCATE)
    told.relays.set_servers((turn(server),))
    await until(lambda: server.requests[Method.ALLOCATE])
    await asyncio.wait_for(told.relays.close(), 1)


async def test_what_a_slower_way_brings_all_the_same_is_given_back(
    server: FakeTurnServer, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STAGGER", 0.01)
    made: list[Allocation] = []
    both = asyncio.Event()

    async def open_together(end: TurnEndpoint) -> Allocation:
        allocation = Allocation(replace(end, transport="udp"))
        await allocation.open()
        made.append(allocation)
        if len(made) == 2:
            both.set()
        await both.wait()
        return allocation

    monkeypatch.setattr(module, "_open", open_together)
    told.relays.set_servers((turn(server, query=""),))
    await until(lambda: told.open)
    assert [allocation.is_open for allocation in made if allocation not in told.open] == [False]
