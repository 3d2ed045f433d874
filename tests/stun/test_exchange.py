from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from atmosphere.stun.exchange import Exchange
from atmosphere.stun.server import BindingServer
from atmosphere.udp.socket import UdpSocket


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    exchange = Exchange(UdpSocket.bind("127.0.0.1"))
    yield exchange
    exchange.close()


@pytest.fixture
async def server() -> AsyncIterator[UdpSocket]:
    """Answers Binding requests."""
    socket, binding = UdpSocket.bind("127.0.0.1"), BindingServer()

    def received(data: bytes, source: tuple[str, int]) -> None:
        if answer := binding.receive(data, source, 0.0):
            socket.send(answer, source)

    socket.on_datagram = received
    yield socket
    socket.close()


async def test_an_answer(exchange: Exchange, server: UdpSocket) -> None:
    answer = await exchange.ask(("127.0.0.1", server.port), timeout=5)
    assert answer.mapped == ("127.0.0.1", exchange.socket.port)
    assert answer.rtt is not None


async def test_many_at_once(exchange: Exchange, server: UdpSocket) -> None:
    answers = await asyncio.gather(*(exchange.ask(("127.0.0.1", server.port), timeout=5) for _ in range(20)))
    assert all(answer.mapped for answer in answers)


async def test_a_lost_request_is_sent_again(exchange: Exchange) -> None:
    silent, binding, seen = UdpSocket.bind("127.0.0.1"), BindingServer(), []

    def second_time(data: bytes, source: tuple[str, int]) -> None:
        seen.append(data)
        if len(seen) == 2 and (answer := binding.receive(data, source, 0.0)):
            silent.send(b"\0\x01garbage", source)
            silent.send(answer[:24] + b"\xff" * (len(answer) - 24), source)  # its transaction id, but not well formed
            silent.send(answer, source)

    silent.on_datagram = second_time
    answer = await exchange.ask(("127.0.0.1", silent.port), timeout=5, rto=0.02)
    assert answer.mapped
    assert seen[0] == seen[1]
    silent.close()


async def test_no_answer(exchange: Exchange) -> None:
    silent = UdpSocket.bind("127.0.0.1")
    answer = await exchange.ask(("127.0.0.1", silent.port), timeout=0.05)
    assert (answer.mapped, answer.error) == (None, "no answer")
    silent.close()


@pytest.mark.parametrize("server", [("2001:db8::1", 3478), ("127.0.0.1", 0)])
async def test_what_cannot_be_sent_fails_at_once(exchange: Exchange, server: tuple[str, int]) -> None:
    answer = await asyncio.wait_for(exchange.ask(server, timeout=60), 5)
    assert answer.error


async def test_other_datagrams(exchange: Exchange, server: UdpSocket) -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    exchange.on_other = lambda data, source: arrived.put_nowait(data)
    server.send(b"hello", ("127.0.0.1", exchange.socket.port))
    assert await asyncio.wait_for(arrived.get(), 5) == b"hello"


async def test_closing_ends_what_is_under_way(exchange: Exchange) -> None:
    silent = UdpSocket.bind("127.0.0.1")
    asking = asyncio.ensure_future(exchange.ask(("127.0.0.1", silent.port), timeout=60))
    await asyncio.sleep(0)
    exchange.close()
    assert (await asyncio.wait_for(asking, 5)).error == "the socket is closed"
    assert (await exchange.ask(("127.0.0.1", silent.port), timeout=60)).error == "the socket is closed"
    silent.close()


async def test_a_cancelled_wait_leaves_nothing(exchange: Exchange) -> None:
    silent = UdpSocket.bind("127.0.0.1")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(exchange.ask(("127.0.0.1", silent.port), timeout=60), 0.01)
    assert not exchange._running
    assert not exchange._timers
    silent.close()
