from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from atmosphere.ice.base import Base, reflexive, socket_base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.portmapping import ask, discover, mapper
from atmosphere.ice.portmapping.mapper import MAX_KEEPERS, PortMapper, router_of
from atmosphere.udp.gateway import Link
from atmosphere.udp.socket import UdpSocket
from tests.ice.portmapping.fake_gateway import LINK, FakeGateway, running
from tests.until import until

BOTH = {"udp": 7777, "tcp": 7777}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "INTERVAL", 0.1)
    monkeypatch.setattr(ask, "WAITS", (0.05, 0.05))


class Node:
    """A mapper with one base on loopback, and what it told."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.told: list[Candidate | None] = []
        self.told_tcp: list[tuple[str, tuple[str, int] | None]] = []
        self.link: Link | None = LINK
        self.routes = 0
        self.mapper = PortMapper(
            7777,
            lambda base, candidate: self.told.append(candidate),
            on_tcp=lambda local, external: self.told_tcp.append((local, external)),
            router_of=self._router,
            routes=lambda: self.routes,
            places=gateway.places,
        )
        self.socket = UdpSocket.bind("127.0.0.1")
        self.base = socket_base(1, self.socket, 100)

    def _router(self, address: str) -> Link | None:
        return self.link

    def move(self, link: Link | None) -> None:
        """The routes are others, and lead to that router."""
        self.link = link
        self.routes += 1
        self.mapper.refresh()

    def see(self, address: str) -> None:
        """A STUN server sees the base there."""
        self.base.reflexive["198.51.100.9", 3478] = reflexive(self.base, (address, 4444), ("198.51.100.9", 3478))
        self.mapper.seen(self.base)

    async def close(self) -> None:
        await self.mapper.close()
        self.socket.close()


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with running() as gateway:
        yield gateway


@pytest.fixture
async def node(gateway: FakeGateway) -> AsyncIterator[Node]:
    node = Node(gateway)
    yield node
    await node.close()


async def test_a_mapped_port_is_a_candidate(gateway: FakeGateway, node: Node) -> None:
    node.mapper.add(node.base)
    await until(lambda: gateway.mapped == BOTH and node.told and len(node.mapper.report()) == 2)
    (candidate,) = node.told
    assert candidate is not None
    assert (candidate.endpoint, candidate.type) == (("203.0.113.9", 7777), "srflx")
    await until(lambda: all(one.external for one in node.mapper.report()))
    udp, tcp = node.mapper.report()
    assert (udp.transport, tcp.transport) == ("udp", "tcp")
    for one in (udp, tcp):
        assert (one.local, one.gateway, one.protocol) == (("127.0.0.1", 7777), "127.0.0.1", "pcp")
        assert (one.external, one.verified, one.error) == (("203.0.113.9", 7777), None, None)
        assert one.lifetime is not None
        assert 7190 < one.lifetime <= 7200


async def test_the_tcp_port_is_told_too_and_that_it_is_gone(gateway: FakeGateway, node: Node) -> None:
    node.mapper.add(node.base)
    await until(lambda: node.told_tcp)
    assert node.told_tcp == [("127.0.0.1", ("203.0.113.9", 7777))]
    node.mapper.remove(node.base)
    assert node.told_tcp[1:] == [("127.0.0.1", None)]


async def test_servers_may_agree_or_not(gateway: FakeGateway, node: Node) -> None:
    node.mapper.add(node.base)
    await until(lambda: node.told and all(one.external for one in node.mapper.report()))
    node.see("203.0.113.9")
    assert [one.verified for one in node.mapper.report()] == [True, True]
    assert len(node.told) == 1
    node.see("198.51.100.7")
    assert [one.verified for one in node.mapper.report()] == [False, False]
    assert "another NAT" in str(node.mapper.report()[0].error)
    assert node.told[0] is not None
    assert node.told[1] is not None
    assert node.told[1].priority < node.told[0].priority


async def test_a_router_that_does_not_know_its_address(gateway: FakeGateway, node: Node) -> None:
    gateway.external, gateway.speaks = "0.0.0.0", {"nat-pmp"}
    node.mapper.add(node.base)
    await until(lambda: gateway.mapped == BOTH)
    assert node.told == []
    node.see("203.0.113.7")
    assert node.told[-1] is not None
    assert node.told[-1].endpoint == ("203.0.113.7", 7777)


async def test_nothing_is_opened(gateway: FakeGateway, node: Node) -> None:
    gateway.result, gateway.speaks = 2, {"pcp"}
    node.mapper.add(node.base)
    await until(lambda: "NAT-PMP" in str(node.mapper.report()[0].error))
    for one in node.mapper.report():
        assert (one.protocol, one.external, one.lifetime, one.verified) == (None, None, None, None)
        assert "PCP: the router does not allow it" in str(one.error)
    assert node.told == []


async def test_it_can_be_waited_for(gateway: FakeGateway, node: Node) -> None:
    await node.mapper.settled()
    node.mapper.add(node.base)
    await node.mapper.settled()
    assert gateway.mapped
    gateway.result, gateway.speaks = 2, {"pcp"}
    node.move(replace(LINK, interface="other"))
    await node.mapper.settled()
    assert node.mapper.report()[0].error


async def test_an_address_that_goes(gateway: FakeGateway, node: Node) -> None:
    node.mapper.add(node.base)
    await until(lambda: gateway.mapped == BOTH and node.told)
    node.mapper.remove(node.base)
    node.mapper.remove(node.base)
    assert node.mapper.report() == []
    node.see("203.0.113.9")
    await until(lambda: gateway.mapped == {})
    assert len(node.told) == 1


async def test_another_router_for_the_same_address(gateway: FakeGateway, node: Node) -> None:
    """From one network to another with the same private address: the old port is no candidate any more."""
    node.mapper.add(node.base)
    await until(lambda: gateway.mapped == BOTH and node.told)
    node.link = replace(LINK, gateway="127.0.0.9")
    node.mapper.refresh()  # the routes are the same, so nobody looks
    assert len(node.told) == 1
    node.move(node.link)
    assert node.told[-1] is None
    assert {one.gateway for one in node.mapper.report()} == {"127.0.0.9"}
    node.move(None)
    assert node.mapper.report() == []
    node.move(LINK)
    await until(lambda: node.told[-1] is not None)


async def test_a_change_elsewhere_has_the_router_asked(gateway: FakeGateway, node: Node) -> None:
    """As after a sleep: the address and the routes are the same, the mapping may have expired."""
    node.mapper.add(node.base)
    await until(lambda: gateway.mapped == BOTH and all(one.external for one in node.mapper.report()))
    gateway.restart()
    node.mapper.refresh()
    node.mapper.refresh(changed=True)
    await until(lambda: gateway.mapped == BOTH)
    assert len(node.told) == 1


async def test_leaving_is_final(gateway: FakeGateway, node: Node) -> None:
    node.mapper.add(node.base)
    await until(lambda: gateway.mapped == BOTH)
    await node.mapper.close()
    assert gateway.mapped == {}
    node.move(LINK)
    assert node.mapper.report() == []


async def test_many_addresses_are_no_flood(gateway: FakeGateway, node: Node) -> None:
    gateway.silent = True
    for number in range(2 * MAX_KEEPERS):
        candidate = replace(node.base.candidate, address=f"127.0.1.{number}")
        node.mapper.add(Base(number, candidate, lambda data, destination: None))
    assert len({one.local for one in node.mapper.report()}) <= MAX_KEEPERS
    assert len(node.mapper._keepers) == MAX_KEEPERS


@pytest.mark.parametrize(
    ("address", "asks"),
    [
        ("192.168.1.7", True),
        ("100.64.0.7", True),
        ("203.0.113.7", False),
        ("169.254.1.1", False),
        ("127.0.0.1", False),
        ("2001:db8::7", True),
        ("fd00::7", False),
        ("fe80::7", False),
        ("::1", False),
    ],
)
def test_who_has_a_router_to_ask(monkeypatch: pytest.MonkeyPatch, address: str, asks: bool) -> None:
    monkeypatch.setattr(mapper, "link_of", lambda address: LINK)
    assert (router_of(address) is not None) is asks
