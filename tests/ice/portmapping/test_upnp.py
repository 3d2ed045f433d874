from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from atmosphere.ice.portmapping import discover
from atmosphere.ice.portmapping.igd import FIREWALL, MAPPERS
from atmosphere.ice.portmapping.model import Grant, NoMapping, Wish
from atmosphere.ice.portmapping.soap import SoapFault
from atmosphere.ice.portmapping.upnp import Pinholes, Upnp
from tests.ice.portmapping.fake_gateway import LINK, FakeGateway, running
from tests.ice.portmapping.test_igd import description

UDP, TCP = Wish("udp", "127.0.0.1", 7777), Wish("tcp", "127.0.0.1", 7777)
UDP6 = Wish("udp", "::1", 7777)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "INTERVAL", 0.1)


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with running() as gateway:
        yield gateway


@pytest.fixture
async def gateway6() -> AsyncIterator[FakeGateway]:
    async with running("::1") as gateway:
        yield gateway


def upnp(gateway: FakeGateway) -> Upnp:
    return Upnp(LINK, ("127.0.0.1", gateway.ssdp.port))


def pinholes(gateway: FakeGateway) -> Pinholes:
    return Pinholes(replace(LINK, address="::1", gateway="::1"), ("::1", gateway.ssdp.port))


async def test_a_port(gateway: FakeGateway) -> None:
    method = upnp(gateway)
    await method.offers()
    assert method.boot == "1"
    grant = await method.map(UDP, None)
    assert grant == Grant("203.0.113.9", 7777, 7200)
    await method.map(TCP, ("203.0.113.9", 4444))
    assert gateway.mapped == {"udp": 7777, "tcp": 4444}
    assert await method.remembers(UDP, grant)
    gateway.external = "203.0.113.10"
    assert not await method.remembers(UDP, grant)
    gateway.restart()
    assert not await method.remembers(UDP, grant)
    await method.map(UDP, None)
    await method.unmap(UDP, grant)
    assert gateway.mapped == {}


async def test_permanent_leases_and_conflicts(gateway: FakeGateway) -> None:
    gateway.permanent_only, gateway.taken = True, {7777}
    method = upnp(gateway)
    await method.offers()
    grant = await method.map(UDP, None)
    assert grant.lifetime is None
    assert gateway.mapped == {"udp": grant.port}
    assert grant.port != 7777
    assert gateway.leases == {"udp": 0}


async def test_the_connection_that_is_up(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A router with two connections has one outer address: of the second service."""
    gateway.description = description((MAPPERS[1], "/ip"), (MAPPERS[2], "/ppp"))
    gateway.faults["GetExternalIPAddress"] = [501]
    method = upnp(gateway)
    await method.offers()
    assert method._chosen().type == MAPPERS[2]
    gateway.faults["GetExternalIPAddress"] = [501, 501]
    method = upnp(gateway)
    await method.offers()
    assert method._chosen().type == MAPPERS[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"<root/>", "offers no port mapping"),
        (b"no xml", "not a router's XML"),
        (description((FIREWALL, "/v6")), "does not open ports of IPv4"),
    ],
)
async def test_a_router_of_no_use(gateway: FakeGateway, text: bytes, words: str) -> None:
    gateway.description = text
    method = upnp(gateway)
    with pytest.raises(NoMapping, match=words):
        await method.offers()
    with pytest.raises(NoMapping, match="no router"):
        await method.map(UDP, None)


async def test_a_pinhole(gateway6: FakeGateway) -> None:
    method = pinholes(gateway6)
    await method.offers()
    grant = await method.map(UDP6, None)
    assert grant == Grant("::1", 7777, 7200)
    assert await method.map(UDP6, None) == grant
    assert gateway6.asked.count("AddPinhole") == 1
    assert await method.remembers(UDP6, grant)
    gateway6.restart()
    assert not await method.remembers(UDP6, grant)
    await method.map(UDP6, None)
    assert gateway6.asked.count("AddPinhole") == 2
    await method.unmap(UDP6, grant)
    await method.unmap(UDP6, grant)
    assert gateway6.mapped == {}
    assert gateway6.asked.count("DeletePinhole") == 1


async def test_a_firewall_that_is_off(gateway6: FakeGateway) -> None:
    gateway6.faults["AddPinhole"] = [702]
    method = pinholes(gateway6)
    await method.offers()
    grant = await method.map(UDP6, None)
    assert grant == Grant("::1", 7777, None)
    assert await method.remembers(UDP6, grant)


async def test_a_firewall_that_refuses(gateway6: FakeGateway) -> None:
    gateway6.faults = {"AddPinhole": [703], "UpdatePinhole": [606]}
    method = pinholes(gateway6)
    with pytest.raises(NoMapping, match="no router"):
        await method.map(UDP6, None)
    await method.offers()
    with pytest.raises(SoapFault, match="lets nobody"):
        await method.map(UDP6, None)
    await method.map(UDP6, None)
    with pytest.raises(SoapFault, match="does not allow"):
        await method.map(UDP6, None)
