from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atmosphere.errors import DecodeError, Refused, Unreachable
from atmosphere.ice.nat import NatBehaviour, NatType
from atmosphere.ice.portmap_probe import PortMapping
from atmosphere.network import gather
from atmosphere.network.gather import gather_network_info, summary_of
from atmosphere.network.info import ServerInfo
from atmosphere.network.portal import HealthAnswer
from atmosphere.network.servers import parse_servers, resolve_all
from atmosphere.network.stun_service import StunService
from atmosphere.udp.addresses import LocalAddress, Quality
from atmosphere.udp.socket import UdpSocket


@pytest.fixture(autouse=True)
def _no_router(monkeypatch: pytest.MonkeyPatch) -> None:
    async def probe() -> PortMapping:
        return PortMapping(True, None, False)

    monkeypatch.setattr(gather, "probe_port_mapping", probe)


@pytest.fixture
async def silent() -> AsyncIterator[UdpSocket]:
    socket = UdpSocket.bind("127.0.0.1")
    yield socket
    socket.close()


async def test_one_server_answers(silent: UdpSocket) -> None:
    async with StunService("127.0.0.1", 0) as service:
        good, bad = f"stun:127.0.0.1:{service.port}", f"stun:127.0.0.1:{silent.port}"
        found = await gather_network_info([good, bad], timeout=0.3)
    assert [(server.uri, server.ok, server.error) for server in found.servers] == [
        (good, True, None),
        (bad, False, "no answer"),
    ]
    assert found.public.ipv4 is not None
    assert (found.public.ipv4.ip, found.public.ipv6) == ("127.0.0.1", None)
    assert (found.nat.type, found.nat.mapping) == ("open", "none")
    assert (found.port_mapping.upnp, found.port_mapping.nat_pmp, found.port_mapping.pcp) == (True, None, False)
    assert found.internet is False
    assert found.interfaces
    assert found.summary


async def test_ipv6_only() -> None:
    async with StunService(port=0) as service:
        if "::1" not in service.addresses:
            pytest.skip("this machine has no IPv6")
        found = await gather_network_info([f"[::1]:{service.port}"], timeout=1, port_mapping=False)
    assert found.public.ipv6 is not None
    assert found.nat.type == "open"
    assert found.port_mapping.upnp is None


async def test_nobody_answers(silent: UdpSocket) -> None:
    found = await gather_network_info([f"127.0.0.1:{silent.port}"], timeout=0.1)
    assert (found.nat.type, found.internet, found.public.ipv4) == ("udp-blocked", False, None)


async def test_tcp_alone_gets_through() -> None:
    accepted = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        accepted.set()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    servers = await resolve_all(parse_servers([f"127.0.0.1:{port}"]))
    assert await gather._reached(servers, [ServerInfo("stun:x", False)], [], 1) == {"local"}
    await asyncio.wait_for(accepted.wait(), 5)
    portal = HealthAnswer(portal=True)
    assert await gather._reached(servers, [ServerInfo("stun:x", False)], [portal], 1) == set()
    listener.close()
    await listener.wait_closed()


async def test_servers_written_wrong() -> None:
    with pytest.raises(DecodeError):
        await gather_network_info(["turn:example"])
    with pytest.raises(DecodeError):
        await gather_network_info([], ["stun:example"])


class FakeAllocation:
    """Opens or fails as its user name says."""

    rtt = 0.0123

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint

    async def open(self, timeout: float) -> None:
        if self.endpoint.username == "wrong":
            raise Refused("wrong user name or password")
        if self.endpoint.username == "tcp" and self.endpoint.transport == "udp":
            raise Unreachable("no answer")
        if self.endpoint.username == "dead":
            raise Unreachable("no answer")

    async def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("user", "ok", "error"),
    [
        ("anna", True, None),
        ("tcp", True, None),
        ("wrong", False, "wrong user name or password"),
        ("dead", False, "no answer"),
    ],
)
async def test_turn_servers(monkeypatch: pytest.MonkeyPatch, user: str, ok: bool, error: str | None) -> None:
    monkeypatch.setattr(gather, "Allocation", FakeAllocation)
    found = await gather_network_info([], [f"turn:{user}:secret@127.0.0.1:3478"], timeout=0.1)
    server = found.servers[0]
    assert (server.uri, server.ok, server.error) == ("turn:127.0.0.1", ok, error)
    assert server.rtt_ms == (12.3 if ok else None)
    assert found.nat.type == "unknown"


ETHERNET = [LocalAddress("eth0", "192.168.1.2", 4, Quality.WIRED)]
LOOPBACK = [LocalAddress("lo", "127.0.0.1", 4, Quality.LOOPBACK)]


@pytest.mark.parametrize(
    ("portal", "ipv6", "kind", "reached", "word"),
    [
        (True, False, "udp-blocked", set(), "log in"),
        (True, False, "udp-blocked", {"local"}, "log in"),
        (True, False, "open", {"internet"}, "public address"),
        (False, True, "symmetric", {"internet"}, "have IPv6 too"),
        (False, True, "port-restricted-cone", {"internet"}, "most networks"),
    ],
)
def test_the_sentence_knows_portals_and_ipv6(
    portal: bool, ipv6: bool, kind: NatType, reached: set[str], word: str
) -> None:
    assert word in summary_of(NatBehaviour(type=kind), ETHERNET, reached=reached, portal=portal, ipv6=ipv6)


@pytest.mark.parametrize(
    ("kind", "interfaces", "reached", "relayed", "word"),
    [
        ("open", ETHERNET, {"internet"}, False, "public address"),
        ("symmetric", ETHERNET, {"internet"}, False, "new port"),
        ("udp-blocked", ETHERNET, {"internet"}, False, "relay over TCP"),
        ("udp-blocked", ETHERNET, {"internet"}, True, "over the TURN server"),
        ("udp-blocked", ETHERNET, set(), False, "no internet"),
        ("open", ETHERNET, {"local"}, False, "this network"),
        ("unknown", LOOPBACK, set(), False, "no network"),
        ("unknown", [], set(), False, "no network"),
    ],
)
def test_the_sentence(
    kind: NatType, interfaces: list[LocalAddress], reached: set[str], relayed: bool, word: str
) -> None:
    assert word in summary_of(NatBehaviour(type=kind), interfaces, reached=reached, relayed=relayed)


async def test_nobody_was_asked() -> None:
    found = await gather_network_info([], port_mapping=False)
    assert found.servers == []
    assert "No server was asked" in found.summary or "no network" in found.summary


async def test_a_signaling_server_is_asked_and_a_broker_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ask(url: str, *, timeout: float) -> HealthAnswer:
        asked.append(url)
        return HealthAnswer(True, 0.0123, "198.51.100.7", None, False)

    monkeypatch.setattr(gather, "ask_health", ask)
    urls = ["ws://relay.example", "mqtts://broker.example", "ws://relay.example/"]
    found = await gather_network_info([], [], urls, port_mapping=False)
    assert asked == ["ws://relay.example/"]
    assert found.servers == [ServerInfo("ws://relay.example/", True, 12.3)]
    assert (found.internet, found.captive_portal) == (True, False)
    with pytest.raises(DecodeError):
        await gather_network_info([], [], ["ftp://nonsense"])


@pytest.mark.parametrize(
    ("portals", "found"), [([], None), ([None], None), ([None, False], False), ([False, True], True)]
)
def test_a_portal_is_one_when_it_answers_for_anybody(portals: list[bool | None], found: bool | None) -> None:
    assert gather._portal([HealthAnswer(portal=portal) for portal in portals]) is found


@pytest.mark.parametrize(
    ("health", "internet"),
    [(HealthAnswer(True, 0.1, "192.168.1.5"), False), (HealthAnswer(True, 0.1, ""), True), (HealthAnswer(), False)],
)
async def test_where_signaling_servers_are(
    monkeypatch: pytest.MonkeyPatch, health: HealthAnswer, internet: bool
) -> None:
    async def ask(url: str, *, timeout: float) -> HealthAnswer:
        return health

    monkeypatch.setattr(gather, "ask_health", ask)
    found = await gather_network_info([], [], ["ws://relay.example"], port_mapping=False)
    assert found.internet is internet
    assert found.nat.type == "unknown"


async def test_how_long_the_nat_remembers_is_tried_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[tuple[str, int], float]] = []

    async def probe(server: tuple[str, int], limit: float) -> float | None:
        asked.append((server, limit))
        return 45.0

    monkeypatch.setattr(gather, "probe_lifetime", probe)
    async with StunService("127.0.0.1", 0) as one, StunService(("127.0.0.1", "127.0.0.2"), 0, discovery=True) as two:
        servers = [f"127.0.0.1:{service.port}" for service in (one, two)]
        assert (await gather_network_info(servers, port_mapping=False)).nat.mapping_lifetime_s is None
        found = await gather_network_info(servers, port_mapping=False, lifetime=60)
    assert found.nat.mapping_lifetime_s == 45.0
    assert asked == [(("127.0.0.1", two.port), 60)]
