"""The ports that an endpoint has its router open: candidates that come and go with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest

from atmosphere.ice import endpoint as endpoint_module
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.portmapping.mapper import PortMapper
from atmosphere.ice.settings import IceSettings, parse_stun
from atmosphere.stun.message import Class, Message, Method, decode, encode
from atmosphere.udp.addresses import LocalAddress, Quality
from atmosphere.udp.socket import UdpSocket
from tests.ice.loopback import LOOPBACK, dialer_credentials
from tests.ice.portmapping.fake_gateway import LINK, FakeGateway, running
from tests.until import until


@pytest.fixture
async def gateway(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeGateway]:
    """A router of loopback's, which endpoints find."""
    monkeypatch.setattr("atmosphere.ice.portmapping.keeper.FIRST_RETRY", 0.1)
    monkeypatch.setattr("atmosphere.ice.portmapping.ask.WAITS", (0.1, 0.1))
    monkeypatch.setattr("atmosphere.ice.portmapping.discover.INTERVAL", 0.1)
    async with running() as gateway:
        found = partial(PortMapper, router_of=lambda address: LINK, places=gateway.places)
        monkeypatch.setattr(endpoint_module, "PortMapper", found)
        yield gateway


async def test_the_router_is_asked_for_the_port(gateway: FakeGateway) -> None:
    told: list[Candidate] = []
    endpoint = IceEndpoint(replace(LOOPBACK, port_mapping=True))
    endpoint.on_candidate = told.append
    await endpoint.start()
    session = endpoint.dial(dialer_credentials(), dialer_credentials())
    await endpoint.gathered(5)
    assert len(endpoint.candidates) == 2
    await until(lambda: len(gateway.mapped) == 2 and all(one.external for one in endpoint.port_mappings()))
    assert gateway.mapped == {"udp": endpoint.port, "tcp": endpoint.port}
    mapped = endpoint.candidates[1]
    assert (mapped.endpoint, mapped.type) == (("203.0.113.9", endpoint.port), "srflx")
    assert mapped in told
    assert {one.local for one in endpoint.port_mappings()} == {("127.0.0.1", endpoint.port)}
    session.close()
    await endpoint.close()
    assert gateway.mapped == {}


async def test_a_port_that_is_closed_again_is_told_no_more(gateway: FakeGateway) -> None:
    told: list[Candidate] = []
    async with IceEndpoint(replace(LOOPBACK, port_mapping=True)) as endpoint:
        endpoint.on_candidate = told.append
        await until(lambda: len(endpoint.candidates) == 2)
        gateway.speaks, gateway.result = set(), 2
        assert endpoint._ports is not None
        (keeper,) = endpoint._ports._keepers.values()
        keeper.look()
        await until(lambda: len(endpoint.candidates) == 1)
        assert told[-1].type == "host"


async def test_servers_may_see_another_address_than_the_router_names(gateway: FakeGateway) -> None:
    server = UdpSocket.bind("127.0.0.1")

    def answer(data: bytes, source: tuple[str, int]) -> None:
        request = decode(data)
        attributes = {"XOR-MAPPED-ADDRESS": ("198.51.100.7", 4444)}
        server.send(encode(Message(Method.BINDING, Class.RESPONSE, request.transaction_id, attributes)), source)

    server.on_datagram = answer
    settings = replace(LOOPBACK, port_mapping=True, stun=(parse_stun(f"stun:127.0.0.1:{server.port}"),))
    async with IceEndpoint(settings) as endpoint:
        await until(lambda: [one.verified for one in endpoint.port_mappings()] == [False, False])
        await until(lambda: [one.address for one in endpoint.candidates[1:]] == ["198.51.100.7", "203.0.113.9"])
    server.close()


async def test_who_shows_only_relays_asks_no_router(gateway: FakeGateway) -> None:
    for settings in (replace(LOOPBACK, port_mapping=True, policy="relay"), LOOPBACK):
        async with IceEndpoint(settings) as endpoint:
            assert endpoint._ports is None
            assert endpoint.port_mappings() == []
    assert gateway.asked == []


async def test_ports_follow_the_addresses(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [LocalAddress("lo", "127.0.0.1", 4, Quality.WIRED)]
    monkeypatch.setattr("atmosphere.ice.sockets.local_addresses", lambda: addresses)
    monkeypatch.setattr("atmosphere.ice.sockets.address_class", lambda address: "private")
    async with IceEndpoint(IceSettings(port_mapping=True)) as endpoint:
        await until(lambda: len(endpoint.candidates) == 2)
        addresses.append(LocalAddress("lo", "127.0.0.2", 4, Quality.WIRED))
        endpoint.refresh_addresses()
        assert {one.local[0] for one in endpoint.port_mappings()} == {"127.0.0.1"}
        assert endpoint._ports is not None
        assert set(endpoint._ports._bases) == {"127.0.0.1", "127.0.0.2"}
        del addresses[0]
        endpoint.refresh_addresses()
        assert set(endpoint._ports._bases) == {"127.0.0.2"}
