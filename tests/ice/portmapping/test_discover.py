from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from atmosphere.ice.portmapping import discover
from atmosphere.ice.portmapping.discover import MAX_FOUND, search
from atmosphere.ice.portmapping.model import NoMapping
from atmosphere.udp.socket import UdpSocket
from tests.ice.portmapping.fake_gateway import LINK, FakeGateway, running
from tests.ice.portmapping.test_ssdp import SSDP_ANSWER

Address = tuple[str, int]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "INTERVAL", 0.1)


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with running() as gateway:
        yield gateway


async def test_the_router_answers(gateway: FakeGateway) -> None:
    (found,) = await search(LINK, ("127.0.0.1", gateway.ssdp.port))
    assert (found.url.host, found.url.port, found.url.path) == ("127.0.0.1", gateway.http_port, "/desc.xml")
    assert found.boot == "1"


async def test_nobody_answers(gateway: FakeGateway) -> None:
    gateway.silent = True
    with pytest.raises(NoMapping, match="no answer"):
        await search(LINK, ("127.0.0.1", gateway.ssdp.port))
    assert gateway.asked.count("search") == discover.SENDS * 4


async def test_strangers_before_the_router(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A neighbour floods us with answers; the router's is first all the same, and few others are kept."""
    neighbour = UdpSocket.bind("127.0.0.2")

    def searched(data: bytes, source: Address) -> None:
        neighbour.send(b"garbage", source)
        neighbour.send(SSDP_ANSWER, source)  # leads elsewhere
        for port in range(1, 50):
            neighbour.send(SSDP_ANSWER.replace(b"192.0.2.1:5000", b"127.0.0.2:%d" % port), source)
        gateway.ssdp.send(gateway.found(), source)

    gateway.ssdp.on_datagram = searched
    link = replace(LINK, gateway="127.0.0.1")
    found = await search(link, ("127.0.0.1", gateway.ssdp.port))
    neighbour.close()
    assert found[0].url.host == "127.0.0.1"
    assert len(found) == MAX_FOUND + 1


async def test_a_neighbour_alone_is_waited_for(gateway: FakeGateway) -> None:
    (found,) = await search(replace(LINK, gateway="127.0.0.9"), ("127.0.0.1", gateway.ssdp.port))
    assert found.url.host == "127.0.0.1"
    assert gateway.asked.count("search") == discover.SENDS * 2


async def test_an_address_that_is_gone() -> None:
    with pytest.raises(NoMapping, match=r"203\.0\.113\.250"):
        await search(replace(LINK, address="203.0.113.250"), ("127.0.0.1", 1))


async def test_a_router_that_names_many_descriptions(gateway: FakeGateway) -> None:
    def searched(data: bytes, source: Address) -> None:
        for port in range(1, 50):
            gateway.ssdp.send(gateway.found(f"127.0.0.1:{port}/x?"), source)

    gateway.ssdp.on_datagram = searched
    assert len(await search(LINK, ("127.0.0.1", gateway.ssdp.port))) == 2 * MAX_FOUND


async def test_over_ipv6() -> None:
    async with running("::1") as gateway:
        link = replace(LINK, address="::1", gateway="::1")
        (found,) = await search(link, ("::1", gateway.ssdp.port))
        assert found.url.host == "::1"
