"""The limits of a search, and whether what it found became the path."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from atmosphere.ice.hardnat.allocation import PortAllocation
from atmosphere.ice.hardnat.plan import NotTried, Plan, Side
from atmosphere.ice.hardnat.search import Outcome, Search
from atmosphere.ice.hardnat.targets import CAUTIOUS_PROBES, CAUTIOUS_SOCKETS
from atmosphere.mesh import hardnat_run as module
from atmosphere.mesh import wire
from atmosphere.mesh.hardnat_run import Run, is_relayed, within
from tests.mesh.fakes import FakeSession
from tests.mesh.hardnat_fakes import DIRECT, RELAYED, Endpoint, Link, pairs

THERE = "203.0.113.2"
OPEN, PROBE, FAN = Plan("open", 256, 2000, 20.0), Plan("probe", 256, 2000, 20.0), Plan("fan", 64, 0, 4.0)
HARD = Side("address-and-port-dependent", PortAllocation("sequential", 2, 4000))


def punch(address: str = THERE, port: int = 7777, sockets: int = 256, probes: int = 2000) -> wire.Punch:
    return wire.Punch("ready", 1, "dialer", address, port, [4000], sockets, probes)


def make(address: str | None = "203.0.113.1", *, proven: bool = True) -> tuple[Endpoint, Link]:
    link = Link("b", FakeSession())
    link.session.path = RELAYED
    link.session.pairs = pairs(THERE, proven=proven)
    return Endpoint("endpoint-independent", address), link


def limited(
    plan: Plan, other: wire.Punch, *, proven: bool = True, address: str | None = "203.0.113.1"
) -> Plan | NotTried:
    endpoint, link = make(address, proven=proven)
    return within(endpoint.real, link.real, plan, other)


def test_each_side_keeps_to_the_smaller_limits() -> None:
    assert limited(OPEN, punch()) == OPEN
    assert limited(OPEN, punch(sockets=8)) == replace(OPEN, sockets=8)
    assert limited(PROBE, punch(probes=100, port=0)) == replace(PROBE, probes=100)


def test_an_address_that_was_only_named_is_searched_with_caution() -> None:
    found = limited(PROBE, punch(), proven=False)
    assert found == replace(PROBE, sockets=CAUTIOUS_SOCKETS, probes=CAUTIOUS_PROBES, is_cautious=True)


def test_an_answer_through_the_peers_own_relay_proves_nothing() -> None:
    endpoint, link = make()
    endpoint.lent = {"another": {1}}
    assert within(endpoint.real, link.real, PROBE, punch()) == PROBE
    endpoint.lent["b"] = {1}
    found = within(endpoint.real, link.real, PROBE, punch())
    assert found == replace(PROBE, sockets=CAUTIOUS_SOCKETS, probes=CAUTIOUS_PROBES, is_cautious=True)


@pytest.mark.parametrize(
    ("plan", "other", "reason"),
    [
        (OPEN, punch("203.0.113.1"), "same router"),
        (OPEN, punch("192.0.2.66"), "nothing was heard from"),
        (OPEN, punch("10.0.0.1"), "nothing was heard from"),
        (OPEN, punch(port=0), "nothing was heard from"),
    ],
)
def test_what_is_not_searched(plan: Plan, other: wire.Punch, reason: str) -> None:
    found = limited(plan, other)
    assert isinstance(found, NotTried)
    assert reason in found.reason


def test_no_server_or_no_descriptors_means_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(limited(OPEN, punch(), address=None), NotTried)
    monkeypatch.setattr(module, "room_for", lambda wanted: 64 if wanted > 64 else 0)
    assert limited(OPEN, punch()) == replace(OPEN, sockets=64)
    assert isinstance(limited(FAN, punch()), NotTried)
    assert limited(PROBE, punch()) == PROBE


class FakeSearcher:
    """Notes what it was made of, and ends as told."""

    made: ClassVar[list[tuple[Search, int]]] = []
    how: Any = "found"

    def __init__(self, endpoint: Any, session: Any, base: Any, search: Search, sockets: int, ports: Any = ()) -> None:
        self.made.append((search, sockets))
        self.search = search
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True

    async def run(self) -> Outcome:
        self.search.outcome = Outcome(self.how, 1.25, 7)
        return self.search.outcome


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Search, int]]:
    monkeypatch.setattr(module, "Searcher", FakeSearcher)
    monkeypatch.setattr(module, "SETTLE", 0.02)
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(FakeSearcher, "made", made := list[tuple[Search, int]]())
    return made


async def test_each_part_aims_where_it_should(made: list[tuple[Search, int]]) -> None:
    endpoint, link = make()
    for plan in (OPEN, PROBE, FAN, replace(PROBE, is_cautious=True)):
        Run(endpoint.real, link.real, plan, HARD, punch())
    assert [sockets for _, sockets in made] == [256, 0, 64, 0]
    opening, probing, fan, cautious = (search for search, _ in made)
    assert opening._target == (THERE, 7777)
    assert fan._target == (THERE, 4000 + 2 * 32)
    assert [next(probing._ports) for _ in range(2)] == [4002, 4004]
    assert [search.is_slow for search, _ in made] == [False, False, False, True]
    assert cautious.part == "probe"


async def test_it_tells_how_it_ended(made: list[tuple[Search, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, link = make()
    run = Run(endpoint.real, link.real, PROBE, HARD, punch())
    assert run.effort == "0.0 s and 0 checks"
    assert await run.search() == "found"
    assert run.effort.startswith("1.2 s")
    assert not await run.is_direct()
    asyncio.get_running_loop().call_soon(setattr, link.session, "path", DIRECT)
    assert await run.is_direct()
    link.session.path = None
    assert not await run.is_direct()
    monkeypatch.setattr(FakeSearcher, "how", "exhausted")
    link.session.path = RELAYED
    await run.search()
    assert not await run.is_direct()
    run.stop()
    assert run._searcher.stopped  # type: ignore[attr-defined]


async def test_without_a_socket_there_is_no_search() -> None:
    endpoint, link = make()
    endpoint.nat.base = None
    with pytest.raises(ValueError, match="no STUN server"):
        Run(endpoint.real, link.real, PROBE, HARD, punch())


def test_a_link_without_a_path_is_not_relayed() -> None:
    _, link = make()
    assert is_relayed(link.real)
    link.session.path = None
    assert not is_relayed(link.real)
