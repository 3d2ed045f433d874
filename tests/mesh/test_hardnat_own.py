"""What is told of our own NAT."""

from __future__ import annotations

from typing import Final

import pytest

from atmosphere.ice.hardnat.allocation import PortAllocation
from atmosphere.mesh import hardnat_own as module
from atmosphere.mesh.hardnat_own import OwnNat
from tests.mesh.hardnat_fakes import Endpoint

HARD: Final = "address-and-port-dependent"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, int]]]:
    """Whom samples ask; each shows a sequence."""
    asked: list[tuple[str, tuple[str, int]]] = []

    async def sample(address: str, server: tuple[str, int]) -> list[tuple[int, int]]:
        asked.append((address, server))
        return [(1, 5000), (2, 5001), (3, 5002)]

    monkeypatch.setattr(module, "sample_ports", sample)
    return asked


async def test_a_sample_says_more_than_what_servers_saw(asked: list[object]) -> None:
    endpoint = Endpoint(HARD, "203.0.113.1")
    endpoint.nat.allocation = PortAllocation("random", 0, 9)
    own = OwnNat(endpoint.real, searches=True)
    assert (own.told().allocation, own.told().last_port, own.given) == ("random", 9, [])
    await own.sample()
    assert asked == [("127.0.0.1", ("192.0.2.1", 3478))]
    assert (own.told().allocation, own.told().step, own.told().last_port) == ("sequential", 1, 5002)
    assert own.given == [5000, 5001, 5002]
    assert own.opening == []


async def test_where_ports_are_preserved_it_says_which_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sample(address: str, server: tuple[str, int]) -> list[tuple[int, int]]:
        return [(5000, 5000), (5001, 5001)]

    own = OwnNat(Endpoint(HARD, "203.0.113.1").real, searches=True)
    assert own.opening == []
    monkeypatch.setattr(module, "sample_ports", sample)
    await own.sample()
    assert own.told().allocation == "preserved"
    assert len(set(own.opening)) == 16
    before = own.opening
    await own.sample()
    assert own.opening != before


async def test_a_sample_is_of_one_network(asked: list[object]) -> None:
    endpoint = Endpoint(HARD, "203.0.113.1")
    own = OwnNat(endpoint.real, searches=True)
    await own.sample()
    endpoint.nat.public = ("203.0.113.9", 7777)
    assert own.given == []
    assert own.told().allocation == "unknown"
    endpoint.nat.public = None
    assert (own.address, own.given, own.told().address) == (None, [], "")


async def test_a_nat_that_keeps_ports_needs_no_sample(asked: list[object]) -> None:
    for endpoint in (Endpoint("endpoint-independent", "203.0.113.1"), Endpoint("none", "203.0.113.1")):
        await OwnNat(endpoint.real, searches=True).sample()
    endpoint = Endpoint(HARD, None)
    endpoint.nat.base = None
    await OwnNat(endpoint.real, searches=True).sample()
    assert asked == []


async def test_the_owners_wish_is_told() -> None:
    assert not OwnNat(Endpoint(HARD, "203.0.113.1").real, searches=False).told().searches
