"""TurnService on loopback, with this project's own client and with clients over connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atmosphere.errors import Refused
from atmosphere.stun.longterm import Challenge
from atmosphere.stun.message import Class, Message, Method, decode
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.server import service
from atmosphere.turn.server.flow import Flow
from atmosphere.turn.server.metrics import COUNTERS, DERIVED, GAUGES
from atmosphere.turn.server.policy import Reach
from atmosphere.turn.server.service import TurnService
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.users import StaticUsers
from atmosphere.udp.socket import UdpSocket
from tests.turn.server.script import IPV6, NUMBER, UDP, channel_data
from tests.until import until

LOOPBACK = {"127.0.0.1": "127.0.0.1", "::1": "::1"}
ALLOWED = ("127.0.0.0/8", "::1/128")


class Bench:
    """A service, a socket that it listens on, and a peer that echoes."""

    def __init__(self, **settings: Any) -> None:
        chosen = TurnSettings(**{"addresses": LOOPBACK, "allow_peers": ALLOWED} | settings)
        self.service = TurnService(chosen, StaticUsers({"anna": "secret", "ben": "other"}))
        self.door = UdpSocket.bind("127.0.0.1")
        self.peer = UdpSocket.bind("127.0.0.1")
        self.peer.on_datagram = self.peer.send
        self.service.listen(self.door)

    async def __aenter__(self) -> Bench:
        await self.service.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.service.stop()
        self.door.close()
        self.peer.close()
        await asyncio.sleep(0)  # asyncio closes the clients' sockets in a turn of its own

    def allocation(self, user: str = "anna", password: str = "secret", **more: Any) -> Allocation:
        return Allocation(TurnEndpoint(("127.0.0.1", self.door.port), "udp", user, password, **more))

    def stat(self, name: str) -> float:
        return self.service.stats()[f"turn_{name}"]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench() as made:
        yield made


class Box:
    """What an allocation received."""

    def __init__(self, allocation: Allocation) -> None:
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        allocation.on_datagram = lambda data, source: self.got.append((data, source))


async def test_from_allocation_to_echo_to_end(bench: Bench) -> None:
    allocation = bench.allocation()
    box = Box(allocation)
    await allocation.open()
    peer = (bench.peer.address, bench.peer.port)
    for number in range(20):
        allocation.send(bytes([number]) * 50, peer)
    await until(lambda: len(box.got) == 16)  # what a client keeps until its channel is bound
    allocation.send(b"x" * 1200, peer)
    await until(lambda: box.got[-1] == (b"x" * 1200, peer))
    assert bench.stat("allocations") == 1
    await allocation.close()
    await until(lambda: not bench.stat("allocations"))
    assert (bench.service._relays, bench.service._doors[bench.door].flows) == (set(), {})


async def test_bursts_reach_the_peer_and_come_back(bench: Bench) -> None:
    allocation = bench.allocation()
    box = Box(allocation)
    await allocation.open()
    peer = (bench.peer.address, bench.peer.port)
    allocation.send(b"bind", peer)
    await until(lambda: box.got)
    flow = bench.service._doors[bench.door].flows
    (client,) = flow
    payloads = [bytes([number]) * 700 for number in range(30)] + [b"tail"]
    data = b"".join(channel_data(0x4000, payload) for payload in payloads)
    bench.service.datagrams(bench.door, data, 704, client)
    await until(lambda: len(box.got) == 32)
    assert [payload for payload, _ in box.got[1:]] == payloads
    await allocation.close()


async def test_wrong_credentials(bench: Bench) -> None:
    with pytest.raises(Refused, match="wrong user name or password"):
        await bench.allocation("anna", "wrong").open()
    assert bench.stat("unauthorized_total") == 1


async def test_a_revoked_user_has_nothing_left(bench: Bench) -> None:
    anna, ben = bench.allocation(), bench.allocation("ben", "other")
    await anna.open()
    await ben.open()
    bench.service.revoke("anna")
    assert bench.stat("allocations") == 1
    assert [relay.sock.port for relay in bench.service._relays] == [ben.relayed[1]]
    await anna.close()
    await ben.close()
    await anna.close()


async def test_ipv6_relayed_addresses(bench: Bench) -> None:
    allocation = bench.allocation(family=6)
    await allocation.open()
    assert allocation.relayed[0] == "::1"
    peer = UdpSocket.bind("::1")
    peer.on_datagram = peer.send
    box = Box(allocation)
    allocation.send(b"over IPv6", (peer.address, peer.port))
    await until(lambda: box.got)
    assert box.got == [(b"over IPv6", (peer.address, peer.port))]
    await allocation.close()
    peer.close()


class Stranger:
    """A client over UDP whose datagrams arrive as bursts that a test composes."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.sock = UdpSocket.bind("127.0.0.1")
        self.source = (self.sock.address, self.sock.port)
        self.got: list[Message] = []
        self.sock.on_datagram = lambda data, source: self.got.append(decode(data))
        self.challenge: Challenge | None = None

    async def burst(self, segment: int, *datagrams: bytes, answers: int = 1) -> list[Message]:
        self.got.clear()
        self.bench.service.datagrams(self.bench.door, b"".join(datagrams), segment, self.source)
        await until(lambda: len(self.got) == answers)
        return list(self.got)

    def request(self, method: Method, **attributes: Any) -> bytes:
        request = Message(method, Class.REQUEST, attributes=attributes)
        if self.challenge is not None:
            self.challenge.sign(request, "anna", "secret")
        return bytes(request)

    def allocate(self, **attributes: Any) -> bytes:
        return self.request(Method.ALLOCATE, **{"REQUESTED-TRANSPORT": UDP} | attributes)

    async def ask(self, data: bytes) -> Message:
        return (await self.burst(len(data), data))[0]

    async def allocated(self, **attributes: Any) -> None:
        self.challenge = Challenge.of(await self.ask(self.allocate()))
        assert (await self.ask(self.allocate(**attributes))).message_class is Class.RESPONSE


async def test_an_allocation_may_end_and_the_next_begin_in_one_burst(bench: Bench) -> None:
    client = Stranger(bench)
    await client.allocated()
    end, again = client.request(Method.REFRESH, LIFETIME=0), client.allocate()
    assert len(end) == len(again)
    answers = await client.burst(len(end), end, again, answers=2)
    assert [one.message_class for one in answers] == [Class.RESPONSE] * 2
    assert (await client.ask(client.request(Method.REFRESH, LIFETIME=600))).message_class is Class.RESPONSE
    assert (await client.ask(client.allocate())).error_code == 437
    assert bench.stat("allocations") == 1
    bench.service.forget(bench.door)
    assert (bench.stat("allocations"), bench.service._relays) == (0, set())
    client.sock.close()


async def test_a_time_that_changes_behind_data_in_one_burst_is_kept() -> None:
    async with Bench(lifetime=1, max_lifetime=3600) as bench:
        client = Stranger(bench)
        await client.allocated(LIFETIME=3600)
        refresh = client.request(Method.REFRESH, LIFETIME=1)
        data = channel_data(NUMBER, bytes(len(refresh) - 4))
        (answer,) = await client.burst(len(refresh), data, refresh)
        assert answer.attributes["LIFETIME"] == 1
        assert bench.service._timer is not None
        assert bench.service._timer.when() <= asyncio.get_running_loop().time() + 1
        client.sock.close()


class Connection:
    """A client over a connection, and what was written to it."""

    def __init__(self, service: TurnService) -> None:
        self.service = service
        self.got: list[bytes] = []
        self.flow: Flow = service.open_flow("ws", ("203.0.113.1", 5000), ("127.0.0.1", 80), self.got.extend)

    def ask(self, method: Method, attributes: dict[str, Any]) -> Message:
        challenge: Challenge | None = None
        for _ in range(2):
            request = Message(method, Class.REQUEST, attributes=dict(attributes))
            if challenge is not None:
                challenge.sign(request, "anna", "secret")
            self.service.receive(self.flow, [bytes(request)])
            answer = decode(self.got.pop())
            if answer.message_class is Class.RESPONSE:
                return answer
            challenge = Challenge.of(answer)
        raise AssertionError(answer)


async def test_a_connection_is_a_flow(bench: Bench) -> None:
    connection = Connection(bench.service)
    connection.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP, "ADDITIONAL-ADDRESS-FAMILY": IPV6})
    peer = (bench.peer.address, bench.peer.port)
    connection.ask(Method.CHANNEL_BIND, {"CHANNEL-NUMBER": NUMBER, "XOR-PEER-ADDRESS": peer})
    bench.service.receive(connection.flow, [channel_data(NUMBER, b"one", 1), channel_data(NUMBER, b"two", 1)])
    await until(lambda: len(connection.got) == 2)
    assert connection.got == [channel_data(NUMBER, b"one"), channel_data(NUMBER, b"two")]
    bench.service.receive(connection.flow, [])
    bench.service.close_flow(connection.flow)
    assert bench.stat("allocations") == 0


async def test_the_timer_ends_what_runs_out() -> None:
    async with Bench(lifetime=1, max_lifetime=1) as bench:
        connection = Connection(bench.service)
        connection.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})
        assert bench.stat("allocations") == 1
        await until(lambda: bench.stat("allocations") == 0)
        assert bench.service._relays == set()


async def test_an_owner_that_demultiplexes_feeds_it_itself(bench: Bench) -> None:
    node = UdpSocket.bind("127.0.0.1")
    node.on_burst = lambda data, segment, source: bench.service.datagrams(node, data, segment, source)
    allocation = Allocation(TurnEndpoint(("127.0.0.1", node.port), "udp", "anna", "secret"))
    box = Box(allocation)
    await allocation.open()
    allocation.send(b"x", (bench.peer.address, bench.peer.port))
    await until(lambda: box.got)
    bench.service.forget(node)
    assert bench.stat("allocations") == 0
    bench.service.forget(node)
    await allocation.close()
    node.close()


async def test_somebody_else_may_take_stun_first(bench: Bench) -> None:
    asked: list[bytes] = []

    def first(data: bytes, segment: int, source: tuple[str, int]) -> bool:
        asked.append(data)
        return data[1] == 1  # Binding

    bench.service.listen(bench.door, first)
    client = UdpSocket.bind("127.0.0.1")
    got: list[bytes] = []
    client.on_datagram = lambda data, source: got.append(data)
    for method in (Method.BINDING, Method.ALLOCATE):
        client.send(bytes(Message(method, Class.REQUEST)), ("127.0.0.1", bench.door.port))
    client.send(channel_data(NUMBER, b"x"), ("127.0.0.1", bench.door.port))
    await until(lambda: got and bench.stat("dropped_channel_total"))
    assert len(asked) == 2
    assert decode(got[0]).message_method is Method.ALLOCATE
    client.close()


async def test_one_port_for_all() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with Bench(single_relay_port=port) as bench:
        anna, ben = bench.allocation(), bench.allocation("ben", "other")
        await anna.open()
        await ben.open()
        assert anna.relayed == ben.relayed == ("127.0.0.1", port)
        to_anna, to_ben = Box(anna), Box(ben)
        anna.send(b"to the peer", (bench.peer.address, bench.peer.port))
        await until(lambda: to_anna.got)

        def sent() -> bool:
            anna.send(b"to ben", anna.relayed)
            ben.send(b"to anna", ben.relayed)
            return len(to_anna.got) > 1 and bool(to_ben.got)

        await until(sent)
        assert to_ben.got[0] == (b"to ben", ("127.0.0.1", port))
        await anna.close()
        await ben.close()


async def test_stats_are_what_metrics_has_help_for(bench: Bench) -> None:
    assert set(bench.service.stats()) == {*COUNTERS, *DERIVED, *GAUGES}


async def test_an_address_that_this_machine_gets_later_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"203.0.113.1"}
    monkeypatch.setattr(service, "every_own_address", lambda: frozenset(found))
    monkeypatch.setattr(service, "LOOK_SECONDS", 0.01)
    async with Bench() as bench:
        reach = bench.service._core.policy.reach
        assert reach("203.0.113.1") is Reach.REFUSED
        assert reach("2001:db8:7::1") is Reach.OUTSIDE
        found.add("2001:db8:7::1")
        await until(lambda: bench.service._core.policy.reach("2001:db8:7::1") is Reach.REFUSED)
        looking = bench.service._looking
    assert looking is not None
    assert looking.cancelled()


async def test_addresses_that_are_not_ours_are_refused_at_the_start() -> None:
    service = TurnService(TurnSettings(addresses={"203.0.113.250": "203.0.113.250"}), StaticUsers({}))
    with pytest.raises(OSError):
        await service.start()


async def test_a_stopped_service_is_silent(bench: Bench) -> None:
    await bench.service.stop()
    await bench.service.stop()
    client = UdpSocket.bind("127.0.0.1")
    got: list[bytes] = []
    client.on_datagram = lambda data, source: got.append(data)
    client.send(bytes(Message(Method.BINDING, Class.REQUEST)), ("127.0.0.1", bench.door.port))
    await until(lambda: bench.door.received)
    bench.service.receive(Connection(bench.service).flow, [b"x"])
    await asyncio.sleep(0)
    assert got == []
    client.close()
