from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from atmosphere.ice import portmap_probe
from atmosphere.ice.portmap_probe import PortMapping, probe_port_mapping
from atmosphere.udp.socket import UdpSocket
from tests.ice.portmapping.test_ssdp import SSDP_ANSWER

Address = tuple[str, int]


class Router:
    """Answers what it is told to: a port for NAT-PMP and PCP, another for UPnP."""

    def __init__(self) -> None:
        self.control, self.ssdp = UdpSocket.bind("127.0.0.1"), UdpSocket.bind("127.0.0.1")
        self.control.on_datagram = self._control
        self.ssdp.on_datagram = self._ssdp
        self.nat_pmp: bytes | None = None
        self.pcp: bytes | None = None
        self.upnp: bytes | None = None

    def _control(self, data: bytes, source: Address) -> None:
        answer = self.pcp if data[0] == 2 else self.nat_pmp
        if answer is not None:
            self.control.send(b"garbage", source)
            self.control.send(answer, source)

    def _ssdp(self, data: bytes, source: Address) -> None:
        if self.upnp is not None:
            self.ssdp.send(b"garbage", source)
            self.ssdp.send(self.upnp, source)

    async def probe(self) -> PortMapping:
        return await probe_port_mapping(
            "127.0.0.1", timeout=0.2, port=self.control.port, ssdp=("127.0.0.1", self.ssdp.port)
        )

    def close(self) -> None:
        self.control.close()
        self.ssdp.close()


@pytest.fixture
async def router() -> AsyncIterator[Router]:
    router = Router()
    yield router
    router.close()


PMP = b"\x00\x80\x00\x00\x00\x00\x12\x34" + bytes([203, 0, 113, 9])
PCP = b"\x02\x80\x00\x00" + bytes(20)


async def test_a_router_that_offers_all(router: Router) -> None:
    router.nat_pmp, router.pcp, router.upnp = PMP, PCP, SSDP_ANSWER
    assert await router.probe() == PortMapping(True, True, True, "203.0.113.9")


async def test_a_router_that_knows_nat_pmp_only(router: Router) -> None:
    router.nat_pmp, router.pcp = PMP, b"\x00\x80\x00\x01\x00\x00\x12\x34"
    assert await router.probe() == PortMapping(False, True, False, "203.0.113.9")


async def test_a_router_that_refuses(router: Router) -> None:
    router.nat_pmp, router.pcp = b"\x00\x80\x00\x02\x00\x00\x12\x34", b"\x02\x80\x00\x02" + bytes(20)
    router.upnp = SSDP_ANSWER.replace(b"InternetGatewayDevice", b"MediaServer")
    assert await router.probe() == PortMapping(False, False, False)


async def test_a_silent_router(router: Router) -> None:
    assert await router.probe() == PortMapping(False, False, False)


async def test_no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portmap_probe, "default_gateway", lambda: None)
    silent = UdpSocket.bind("127.0.0.1")
    found = await probe_port_mapping(timeout=0.1, ssdp=("127.0.0.1", silent.port))
    silent.close()
    assert found == PortMapping(False, None, None)


async def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portmap_probe, "source_for", lambda destination: None)
    assert await probe_port_mapping("192.0.2.1") == PortMapping()


async def test_an_address_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portmap_probe, "source_for", lambda destination: "203.0.113.250")
    assert await probe_port_mapping("192.0.2.1") == PortMapping()


async def test_nothing_can_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portmap_probe, "source_for", lambda destination: "127.0.0.1")
    assert await probe_port_mapping("::1", ssdp=("::1", 1900)) == PortMapping()


def test_a_gateway_is_not_out_in_the_internet() -> None:
    found = portmap_probe._Found()
    assert not found.ssdp(SSDP_ANSWER, ("8.8.8.8", 1900))
    assert found.ssdp(SSDP_ANSWER, ("192.168.1.1", 1900))


async def test_an_answer_to_another_question_is_none(router: Router) -> None:
    router.nat_pmp = b"\x00\x81\x00\x00\x00\x00\x12\x34" + bytes(8)
    assert not (await router.probe()).nat_pmp
