from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from atmosphere.ice.portmapping import ask, discover, keeper, lease, methods, upnp
from atmosphere.ice.portmapping.keeper import Keeper, Places
from atmosphere.ice.portmapping.methods import Pcp
from atmosphere.udp.gateway import Link
from atmosphere.udp.socket import UdpSocket
from tests.ice.portmapping.fake_gateway import LINK, FakeGateway, running
from tests.until import until

Start = Callable[..., Keeper]
BOTH = {"udp": 7777, "tcp": 7777}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "INTERVAL", 0.1)
    monkeypatch.setattr(keeper, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(ask, "WAITS", (0.05, 0.05))


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with running() as gateway:
        yield gateway


@pytest.fixture
async def start(gateway: FakeGateway) -> AsyncIterator[Start]:
    started: list[Keeper] = []

    def start_one(link: Link = LINK, on_change: Callable[[], None] = lambda: None) -> Keeper:
        started.append(Keeper(link, 7777, b"seed", on_change, gateway.places))
        return started[-1]

    yield start_one
    for one in started:
        await one.close()


def protocol(one: Keeper) -> str | None:
    return one.method.protocol if one.method is not None else None


@pytest.mark.parametrize("speaks", ["pcp", "nat-pmp", "upnp"])
async def test_each_protocol_alone(gateway: FakeGateway, start: Start, speaks: str) -> None:
    gateway.speaks = {speaks}
    one = start()
    await until(lambda: gateway.mapped == BOTH and len(one.leases) == 2 and one.leases["tcp"].grant)
    assert protocol(one) == speaks
    assert one.error is None
    await one.close()
    assert gateway.mapped == {}


async def test_the_best_of_all(gateway: FakeGateway, start: Start) -> None:
    one = start()
    await until(lambda: gateway.mapped == BOTH)
    assert protocol(one) == "pcp"
    assert not {"AddPortMapping", "nat-pmp 1"} & set(gateway.asked)


async def test_the_next_best_where_the_best_refuses(gateway: FakeGateway, start: Start) -> None:
    gateway.speaks, gateway.result = {"pcp", "upnp"}, 2
    one = start()
    await until(lambda: gateway.mapped == BOTH)
    assert protocol(one) == "upnp"


async def test_another_port_than_asked(gateway: FakeGateway, start: Start) -> None:
    """A router may give what it likes; TCP is asked for under UDP's number."""
    gateway.offset = 5
    changes: list[int] = []
    one = start(on_change=lambda: changes.append(1))
    await until(lambda: gateway.mapped == {"udp": 7782, "tcp": 7782} and len(one.leases) == 2)
    grant = one.leases["udp"].grant
    assert grant is not None
    assert (grant.external, grant.port) == ("203.0.113.9", 7782)
    assert changes


async def test_it_is_renewed_before_it_expires(
    gateway: FakeGateway, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SOONEST", 0.05)
    gateway.lifetime = 1
    one = start()
    await until(lambda: gateway.asked.count("pcp 1") >= 6)
    assert one.leases["udp"].grant is not None
    assert one.error is None


async def test_a_router_that_restarts_is_asked_again(
    gateway: FakeGateway, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pcp, "look_every", 0.05)
    start()
    await until(lambda: gateway.mapped == BOTH)
    gateway.restart()
    await until(lambda: gateway.mapped == BOTH)


@pytest.mark.parametrize("speaks", ["nat-pmp", "upnp"])
async def test_a_restart_that_is_announced(gateway: FakeGateway, start: Start, speaks: str) -> None:
    gateway.speaks = {speaks}
    one = start()
    await until(lambda: gateway.mapped == BOTH and len(one.leases) == 2 and one.leases["tcp"].grant)
    gateway.restart()
    gateway.control.send(b"\x00\x80" + bytes(10), gateway.places.of_family(4)[1])
    await until(lambda: gateway.mapped == BOTH)
    assert protocol(one) == speaks


async def test_a_young_router_that_restarts(gateway: FakeGateway, start: Start) -> None:
    """Its clock began a moment ago, before and after: only its announcement tells."""
    gateway.speaks, gateway.epoch = {"pcp"}, 0.0
    start()
    await until(lambda: gateway.mapped == BOTH)
    gateway.restart()
    gateway.control.send(b"\x02\x80" + bytes(22), gateway.places.of_family(4)[1])
    await until(lambda: gateway.mapped == BOTH)


async def test_a_router_that_changes_its_mind(gateway: FakeGateway, start: Start) -> None:
    """It does not answer any more in the way that worked: the others are tried."""
    one = start()
    await until(lambda: protocol(one) == "pcp" and gateway.mapped == BOTH)
    gateway.speaks = {"upnp"}
    gateway.mapped.clear()
    one.look()
    await until(lambda: protocol(one) == "upnp" and gateway.mapped == BOTH)


async def test_a_router_that_opens_nothing_is_asked_again(gateway: FakeGateway, start: Start) -> None:
    gateway.result, gateway.faults = 2, {"AddPortMapping": [606]}
    changes: list[int] = []
    one = start(on_change=lambda: changes.append(1))
    await until(lambda: one.error)
    assert one.error == (
        "PCP: the router does not allow it; NAT-PMP: the router does not allow it; "
        "UPnP: the router does not allow it (error 606)"
    )
    assert one.leases == {}
    assert changes
    gateway.result = 0
    await until(lambda: gateway.mapped == BOTH)
    assert one.error is None


async def test_a_grant_that_ends(gateway: FakeGateway, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "SOONEST", 0.05)
    gateway.lifetime = 1
    one = start()
    await until(lambda: one.leases.get("udp") and one.leases["udp"].grant)
    gateway.silent = True
    await until(lambda: one.error)
    assert one.leases == {}
    assert "no answer" in str(one.error)


async def test_a_few_lost_datagrams_lose_no_port(
    gateway: FakeGateway, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FIRST_RETRY", 10.0)
    one = start()
    await until(lambda: gateway.mapped == BOTH and one.leases["tcp"].grant)
    gateway.silent = True
    one.look()
    await until(lambda: one.error)
    assert one.leases["udp"].grant is not None
    assert protocol(one) == "pcp"
    gateway.silent = False
    one.look()
    await until(lambda: one.error is None)
    assert gateway.mapped == BOTH


async def test_a_router_that_is_gone_for_long_has_lost_them(gateway: FakeGateway, start: Start) -> None:
    one = start()
    await until(lambda: gateway.mapped == BOTH and one.leases["tcp"].grant)
    gateway.silent = True
    one.look()
    await until(lambda: not one.leases)
    assert protocol(one) is None
    assert "no answer" in str(one.error)


async def test_tcp_alone_is_refused(gateway: FakeGateway, start: Start) -> None:
    gateway.speaks, gateway.faults = {"upnp"}, {"AddPortMapping": [0, 728]}
    one = start()
    await until(lambda: "tcp" in one.leases and one.leases["tcp"].error)
    assert one.leases["udp"].grant is not None
    assert one.leases["tcp"].error == "the router has no room for more (error 728)"
    assert gateway.mapped == {"udp": 7777}


async def test_tcp_expires_by_itself(gateway: FakeGateway, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pcp, "look_every", 0.05)
    one = start()
    await until(lambda: gateway.mapped == BOTH and one.leases["tcp"].grant)
    tcp = one.leases["tcp"]
    tcp._until, tcp.due = asyncio.get_running_loop().time(), asyncio.get_running_loop().time() + 100
    await until(lambda: tcp.grant is None)
    assert one.leases["udp"].grant is not None


async def test_leaving_before_the_router_answered(gateway: FakeGateway, start: Start) -> None:
    """What was asked for just now may have been granted: it is taken back too."""
    gateway.silent = True
    one = start()
    await until(lambda: "pcp 1" in gateway.asked)
    gateway.silent, gateway.mapped = False, dict(BOTH)
    await one.close()
    assert gateway.mapped == {"tcp": 7777}


async def test_a_node_that_could_not_start_leaves_no_trace(gateway: FakeGateway, start: Start) -> None:
    one = start()
    await asyncio.sleep(0)
    await one.close()
    assert gateway.asked == []


def test_leaving_takes_a_second() -> None:
    assert keeper.CLOSE_TIMEOUT == 1.0
    assert sum(methods.CLOSE_WAITS) < keeper.CLOSE_TIMEOUT
    assert upnp.CLOSE_TIMEOUT < keeper.CLOSE_TIMEOUT


async def test_a_router_that_does_not_answer_is_left(gateway: FakeGateway, start: Start) -> None:
    one = start()
    await until(lambda: gateway.mapped == BOTH)
    gateway.silent = True
    await one.close()
    await one.close()
    assert one.leases == {}


async def test_a_router_that_takes_its_time_is_left(
    gateway: FakeGateway, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    one = start()
    await until(lambda: gateway.mapped == BOTH)
    monkeypatch.setattr(keeper, "CLOSE_TIMEOUT", 0.05)
    monkeypatch.setattr(Pcp, "unmap", never)
    async with asyncio.timeout(10):
        await one.close()
    assert one.leases == {}


async def test_an_address_that_is_gone(gateway: FakeGateway, start: Start) -> None:
    tries: list[int] = []
    one = start(replace(LINK, address="203.0.113.250"), lambda: tries.append(1))
    await until(lambda: len(tries) > 2)
    assert "203.0.113.250 cannot be used" in str(one.error)


async def test_a_listener_that_fails_is_contained(
    gateway: FakeGateway, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    start(on_change=fail)
    await until(lambda: gateway.mapped == BOTH)
    assert "receiver failed" in caplog.text


async def test_ipv6_has_no_nat_pmp(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running("::1") as gateway:
        gateway.speaks = {"upnp"}
        one = Keeper(replace(LINK, address="::1", gateway="::1"), 7777, b"", lambda: None, gateway.places)
        await until(lambda: gateway.mapped == BOTH)
        assert not any(asked.startswith("nat-pmp") for asked in gateway.asked)
        assert gateway.asked.count("AddPinhole") == 2
        await until(lambda: len(one.leases) == 2 and all(lease.grant for lease in one.leases.values()))
        await one.close()
        assert gateway.mapped == {}


def test_the_usual_places() -> None:
    assert Places().of_family(4) == (("239.255.255.250", 1900), ("224.0.0.1", 5350))
    assert Places().of_family(6) == (("ff02::c", 1900), ("ff02::1", 5350))
    assert Places().port == 5351


async def test_a_hostile_neighbour_changes_nothing(gateway: FakeGateway, start: Start) -> None:
    """It answers in the router's place, of everything and all the time: nobody asks it anything."""
    asked: list[bytes] = []
    neighbour = UdpSocket.bind("127.0.0.2")
    neighbour.on_datagram = lambda data, source: asked.append(data)
    one = start()
    await until(lambda: one._asker is not None)
    assert one._asker is not None
    lie = b"\x02\x81\x00\x00" + bytes(56)
    for _ in range(200):
        neighbour.send(lie, ("127.0.0.1", one._asker._socket.port))
        neighbour.send(b"\x00\x80" + bytes(10), gateway.places.of_family(4)[1])
    await until(lambda: gateway.mapped == BOTH)
    grant = one.leases["udp"].grant
    assert grant is not None
    assert grant.external == "203.0.113.9"
    assert asked == []
    neighbour.close()
