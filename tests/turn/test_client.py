"""atmosphere.turn.client, against a server that misbehaves; a real one is in tests/interop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from atmosphere.errors import AtmosphereError, Refused, Unreachable
from atmosphere.stun.library import stun
from atmosphere.stun.message import Message, Method, error_response
from atmosphere.turn import client
from atmosphere.turn.channels import MAX_QUEUED
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.protocol import TurnProtocol
from atmosphere.turn.uri import Transport
from tests.turn.fake_server import PASSWORD, REALM, RELAYED, USER, FakeTurnServer
from tests.until import until

PEER = ("192.0.2.1", 4000)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are repeated ten times as fast, so that silence is noticed ten times as soon."""
    monkeypatch.setattr(stun, "RETRY_RTO", 0.05)


@pytest.fixture
async def server() -> AsyncIterator[FakeTurnServer]:
    with FakeTurnServer() as server:
        yield server


@contextlib.asynccontextmanager
async def allocated(
    server: FakeTurnServer,
) -> AsyncIterator[tuple[Allocation, asyncio.Queue[tuple[bytes, tuple[str, int]]]]]:
    allocation = Allocation(TurnEndpoint(server.address, "udp", USER, PASSWORD))
    got: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
    allocation.on_datagram = lambda data, source: got.put_nowait((data, source))
    await allocation.open()
    try:
        yield allocation, got
    finally:
        await allocation.close()


async def test_what_is_sent_before_the_binding_goes_out_with_it(server: FakeTurnServer) -> None:
    async with allocated(server) as (allocation, got):
        assert allocation.relayed == RELAYED
        assert allocation.mapped == server.client
        assert allocation.rtt is not None
        for number in range(3):
            allocation.send(b"%d" % number, PEER)
        assert [await asyncio.wait_for(got.get(), 5) for _ in range(3)] == [(b"%d" % n, PEER) for n in range(3)]
        allocation.send(b"now", PEER)
        assert await asyncio.wait_for(got.get(), 5) == (b"now", PEER)
        assert server.requests[Method.CHANNEL_BIND] == 1
    assert server.requests[Method.REFRESH] == 1  # the one that gives it back
    allocation.send(b"after the end", PEER)
    await allocation.close()
    assert not allocation.is_open


async def test_a_chosen_family_is_asked_for(server: FakeTurnServer) -> None:
    allocation = Allocation(TurnEndpoint(server.address, "udp", USER, PASSWORD, family=6))
    await allocation.open()
    await allocation.close()
    assert server.attributes["REQUESTED-ADDRESS-FAMILY"] == 0x02000000


async def test_sends_to_a_peer_that_cannot_be_bound_do_not_pile_up(server: FakeTurnServer) -> None:
    server.refused[Method.CHANNEL_BIND] = 403
    async with allocated(server) as (allocation, _):
        for _ in range(1000):
            allocation.send(b"x", PEER)
        assert allocation.dropped == 1000 - MAX_QUEUED
        await until(lambda: allocation.dropped == 1000)


async def test_an_indication_from_a_host_we_talk_to_is_taken(server: FakeTurnServer) -> None:
    async with allocated(server) as (allocation, got):
        server.indicate((PEER[0], 9), b"before we ask")
        await until(lambda: server.requests[Method.CREATE_PERMISSION] == 1)
        assert allocation._protocol is not None
        await allocation._protocol.ping()  # its answer comes behind the indication
        allocation.send(b"x", PEER)
        assert await asyncio.wait_for(got.get(), 5) == (b"x", PEER)
        server.indicate((PEER[0], 9), b"other port")
        assert await asyncio.wait_for(got.get(), 5) == (b"other port", (PEER[0], 9))


async def test_who_has_a_relayed_address_on_the_same_server_is_let_in(server: FakeTurnServer) -> None:
    async with allocated(server) as (allocation, got):
        await until(lambda: allocation._channels.permits(RELAYED[0]))
        server.indicate((RELAYED[0], 9), b"a neighbour")
        assert await asyncio.wait_for(got.get(), 5) == (b"a neighbour", (RELAYED[0], 9))


async def test_a_server_that_lets_nobody_in_is_none_the_worse(server: FakeTurnServer) -> None:
    server.refused[Method.CREATE_PERMISSION] = 403
    async with allocated(server) as (allocation, got):
        await until(lambda: server.requests[Method.CREATE_PERMISSION] == 1)
        allocation.send(b"x", PEER)
        assert await asyncio.wait_for(got.get(), 5) == (b"x", PEER)
        assert allocation.is_open and not allocation._channels.permits(RELAYED[0])


async def test_a_server_that_was_not_there_is_asked_again_to_let_neighbours_in(
    server: FakeTurnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.silent.add(Method.CREATE_PERMISSION)
    async with allocated(server) as (allocation, _):
        monkeypatch.setattr(client, "OPEN_TIMEOUT", 0.1)
        monkeypatch.setattr(client, "KEEPALIVE", 0.1)
        await until(lambda: server.requests[Method.CREATE_PERMISSION] > 0)
        assert not allocation._channels.permits(RELAYED[0])
        server.silent.clear()
        await until(lambda: allocation._channels.permits(RELAYED[0]))


async def test_what_waits_for_a_binding_goes_right_behind_the_request(server: FakeTurnServer) -> None:
    server.silent.add(Method.CHANNEL_BIND)
    async with allocated(server) as (allocation, got):
        allocation.send(b"early", PEER)
        assert await asyncio.wait_for(server_data(server), 5) == b"early"
        assert server.requests[Method.CHANNEL_BIND] == 1
        allocation.send(b"more", PEER)
        await until(lambda: len(server.data) == 2)
        server.silent.clear()
        came = [(await asyncio.wait_for(got.get(), 5))[0] for _ in range(2)]
        assert came == [b"early", b"more"], "the request was repeated, so what went behind it goes again"


async def server_data(server: FakeTurnServer) -> bytes:
    """The first datagram that went to a peer."""
    await until(lambda: bool(server.data))
    return server.data[0][1]


async def test_what_went_behind_a_stale_request_goes_again(
    server: FakeTurnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = server._answer

    def stale(request: Message) -> Message:
        if request.message_method == Method.CHANNEL_BIND and server.requests[Method.CHANNEL_BIND] == 1:
            return error_response(request, 438, "Stale Nonce", {"REALM": REALM, "NONCE": b"another"})
        return answer(request)

    monkeypatch.setattr(server, "_answer", stale)
    async with allocated(server) as (allocation, _):
        allocation.send(b"x", PEER)
        await until(lambda: server.requests[Method.CHANNEL_BIND] == 2 and len(server.data) == 2)
        assert [data for _, data in server.data] == [b"x", b"x"]
        allocation.send(b"y", PEER)
        await until(lambda: len(server.data) == 3)


async def test_garbage_from_the_server_is_nothing(server: FakeTurnServer) -> None:
    async with allocated(server) as (allocation, got):
        for junk in (
            b"",
            b"\x40",
            b"\x40\x00\xff\xff",
            b"\x4f\xff\x00\x01x",
            b"\x01\x01\x00\x00",
            b"\xff" * 40,
            bytes(20),
        ):
            server.send(junk)
        allocation.send(b"x", PEER)
        assert await asyncio.wait_for(got.get(), 5) == (b"x", PEER)


@pytest.mark.parametrize(
    ("code", "reason"), [(403, "forbids"), (486, "quota"), (508, "full"), (499, r"refused: Because \(499\)")]
)
async def test_a_refusal_says_why(server: FakeTurnServer, code: int, reason: str) -> None:
    server.refused[Method.ALLOCATE] = code
    with pytest.raises(Refused, match=reason):
        await Allocation(TurnEndpoint(server.address, "udp", USER, PASSWORD)).open()


@pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("wrong", PASSWORD), (None, None)])
async def test_wrong_credentials_say_so(server: FakeTurnServer, user: str | None, password: str | None) -> None:
    with pytest.raises(Refused, match="wrong user name or password"):
        await Allocation(TurnEndpoint(server.address, "udp", user, password)).open()


async def test_a_silent_server_is_given_up(server: FakeTurnServer) -> None:
    server.silent.add(Method.ALLOCATE)
    with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
        await Allocation(TurnEndpoint(server.address, "udp", USER, PASSWORD)).open(timeout=0.2)


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_closed_port_is_refused_at_once(transport: Transport, closed_port: int) -> None:
    async with asyncio.timeout(2):
        with pytest.raises(Unreachable, match="connection refused"):
            await Allocation(TurnEndpoint(("127.0.0.1", closed_port), transport, USER, PASSWORD)).open()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n", b"\x00" * 100])
@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_tcp_server_that_is_no_turn_server(transport: Transport, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(20)
        writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with asyncio.timeout(2):
            with pytest.raises(AtmosphereError) as caught:
                await Allocation(TurnEndpoint(("127.0.0.1", port), transport, USER, PASSWORD)).open()
    assert str(caught.value)


async def test_a_server_that_falls_silent_is_lost(server: FakeTurnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "KEEPALIVE", 0.05)
    monkeypatch.setattr(client, "LAST_QUESTION", 0.1)
    lost: asyncio.Queue[str] = asyncio.Queue()
    async with allocated(server) as (allocation, _):
        allocation.on_lost = lost.put_nowait
        server.silent |= {Method.BINDING, Method.REFRESH}
        assert await asyncio.wait_for(lost.get(), 10) == "no answer"
        assert not allocation.is_open
        assert lost.empty()


async def test_a_server_that_sees_us_elsewhere_may_know_us_no_more(server: FakeTurnServer) -> None:
    """A router was restarted: to the server we are somebody else, whose Binding requests it answers all the same."""
    lost: list[str] = []
    async with allocated(server) as (allocation, _):
        allocation.on_lost = lost.append
        asked = server.requests[Method.BINDING]
        allocation.verify()
        await until(lambda: server.requests[Method.BINDING] == asked + 1)
        server.sees = ("203.0.113.5", 40000)
        allocation.verify()
        await until(
            lambda: server.requests[Method.REFRESH] == 1
        )  # and it is answered: a NAT between us and it, perhaps
        allocation.verify()
        await until(lambda: server.requests[Method.BINDING] == asked + 3)
        assert (server.requests[Method.REFRESH], lost) == (1, [])
        server.sees = ("203.0.113.5", 40001)
        server.refused[Method.REFRESH] = 437
        allocation.verify()
        await until(lambda: lost)
        assert not allocation.is_open


async def test_a_server_that_was_restarted_answers_and_knows_us_no_more(server: FakeTurnServer) -> None:
    """It was away when it was asked; whoever answers in the end may be another."""
    lost: list[str] = []
    async with allocated(server) as (allocation, _):
        allocation.on_lost = lost.append
        server.silent.add(Method.BINDING)
        asked = server.requests[Method.BINDING]
        allocation.verify()
        await until(lambda: server.requests[Method.BINDING] > asked)
        server.silent.clear()
        server.refused[Method.REFRESH] = 437
        await until(lambda: lost)


@pytest.mark.parametrize(("source", "stranded"), [("127.0.0.1", False), (None, False), ("127.0.0.9", True)])
async def test_where_we_talk_from_and_would_now(
    server: FakeTurnServer, monkeypatch: pytest.MonkeyPatch, source: str | None, stranded: bool
) -> None:
    assert not Allocation(TurnEndpoint(server.address, "udp")).is_stranded
    async with allocated(server) as (allocation, _):
        monkeypatch.setattr(client, "source_for", lambda destination: source)
        assert allocation.is_stranded is stranded
        allocation.endpoint = TurnEndpoint(server.address, "wss", url="wss://relay.example/turn")
        assert not allocation.is_stranded


async def test_a_server_without_stun_is_asked_by_refresh(
    server: FakeTurnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "KEEPALIVE", 0.05)
    async with allocated(server) as (allocation, _):
        server.silent.add(Method.BINDING)
        await until(lambda: server.requests[Method.REFRESH])
        assert allocation.is_open


@pytest.mark.parametrize("whole", [True, False])
async def test_bursts_go_out_and_come_in(server: FakeTurnServer, whole: bool) -> None:
    ahead = [bytes([100 + place]) * 1000 for place in range(20)] + [b"ahead"]
    payloads = [bytes([place]) * 1000 for place in range(20)] + [b"last"]
    data = b"".join(payloads)
    async with allocated(server) as (allocation, got):
        # The channel is not bound yet: some of it waits, and comes back whenever it does.
        assert allocation.send_burst(b"".join(ahead), 1000, 21, PEER) == 21
        await until(lambda: server.channels)
        await until(lambda: not got.empty())
        arrived: list[bytes] = []
        if whole:
            allocation.on_burst = lambda data, segment, source: arrived.extend(
                data[place : place + segment] for place in range(0, len(data), segment)
            )

        def came() -> list[bytes]:
            arrived.extend(got.get_nowait()[0] for _ in range(got.qsize()))
            return sorted(payload for payload in arrived if payload not in ahead)

        assert allocation.send_burst(data, 1000, 21, PEER) == 21
        await until(lambda: [payload for _, payload in server.data if payload not in ahead] == payloads)
        await until(lambda: len(came()) >= 21)
        assert came() == sorted(payloads)
        room: list[bool] = []
        allocation.when_writable(lambda: room.append(True))
        await until(lambda: room)
    assert allocation.send_burst(data, 1000, 21, PEER) == 21
    allocation.channel_burst(0x4000, data, 1000)
    assert came() == sorted(payloads)


async def test_a_question_that_cannot_be_sent_is_not_asked_over_and_over(
    server: FakeTurnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is gone: every question fails at once, which is trouble, about which the server is asked…"""
    monkeypatch.setattr(client, "LAST_QUESTION", 0.5)
    asked = 0
    ask = TurnProtocol.ping

    async def counted(protocol: TurnProtocol) -> tuple[str, int] | None:
        nonlocal asked
        asked += 1
        return await ask(protocol)

    monkeypatch.setattr(TurnProtocol, "ping", counted)
    lost: list[str] = []
    async with allocated(server) as (allocation, _):
        allocation.on_lost = lost.append
        server.close()
        allocation.verify()
        await until(lambda: lost)
    assert asked == 1


async def test_a_server_that_closes_its_port_is_lost_at_once(
    server: FakeTurnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LAST_QUESTION", 0.1)
    lost: asyncio.Queue[str] = asyncio.Queue()
    async with allocated(server) as (allocation, got):
        allocation.on_lost = lost.put_nowait
        allocation.send(b"x", PEER)
        await asyncio.wait_for(got.get(), 5)
        server.close()
        allocation.send(b"x", PEER)
        await asyncio.wait_for(lost.get(), 10)


async def test_opening_can_be_cancelled(server: FakeTurnServer) -> None:
    server.silent.add(Method.ALLOCATE)
    allocation = Allocation(TurnEndpoint(server.address, "udp", USER, PASSWORD))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(allocation.open(), 0.05)
    assert not allocation.is_open
