from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from atmosphere.stun.client import BindingTransaction
from atmosphere.stun.exchange import Exchange
from atmosphere.stun.message import binding_request, decode, encode
from atmosphere.stun.server import BindingServer
from atmosphere.stun.sockets import DiscoverySockets
from atmosphere.udp.socket import UdpSocket

ADDRESSES = ("127.0.0.1", "127.0.0.2")


class Owner:
    """A program with two sockets of its own on one port, that answers STUN from four."""

    def __init__(self, public: dict[str, str] | None = None) -> None:
        self.server = BindingServer()
        self.main = main_sockets()
        try:
            self.discovery = DiscoverySockets(self.server, self.main, public=public or {})
        except BaseException:
            self.close_main()
            raise
        for item in self.main:
            item.on_datagram = lambda data, source, item=item: self.received(item, data, source)  # type: ignore[misc]

    def received(self, item: UdpSocket, data: bytes, source: tuple[str, int]) -> None:
        assert self.discovery.receive(item, data, source)

    def close_main(self) -> None:
        for item in self.main:
            item.close()

    def close(self) -> None:
        self.discovery.close()
        self.close_main()


def main_sockets() -> tuple[UdpSocket, UdpSocket]:
    while True:
        first = UdpSocket.bind(ADDRESSES[0])
        try:
            return first, UdpSocket.bind(ADDRESSES[1], first.port)
        except OSError:
            first.close()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


def make(stack: AsyncExitStack, public: dict[str, str] | None = None) -> Owner:
    owner = Owner(public)
    stack.callback(owner.close)
    return owner


async def ask(stack: AsyncExitStack, server: tuple[str, int], change: int | None = None) -> BindingTransaction:
    exchange = Exchange(UdpSocket.bind("127.0.0.1"))
    stack.callback(exchange.close)
    attributes = {} if change is None else {"CHANGE-REQUEST": change}
    return await exchange.ask(server, timeout=5, attributes=attributes, any_source=True)


async def test_every_corner_answers_for_every_other(stack: AsyncExitStack) -> None:
    owner = make(stack)
    ports = (owner.main[0].port, owner.discovery.port)
    for address in (0, 1):
        for port in (0, 1):
            for change in (None, 0, 2, 4, 6):
                answer = await ask(stack, (ADDRESSES[address], ports[port]), change)
                moved = (address ^ bool((change or 0) & 4), port ^ bool((change or 0) & 2))
                assert answer.responder == (ADDRESSES[moved[0]], ports[moved[1]])
                assert answer.other == (ADDRESSES[1 - address], ports[1 - port])
    assert owner.server.answered == 20
    assert owner.discovery.other == ((ADDRESSES[0], ports[1]), (ADDRESSES[1], ports[1]))


async def test_clients_are_told_public_addresses(stack: AsyncExitStack) -> None:
    owner = make(stack, {"127.0.0.1": "203.0.113.1", "127.0.0.2": "203.0.113.2"})
    answer = await ask(stack, ("127.0.0.1", owner.main[0].port))
    assert answer.response is not None
    assert answer.other == ("203.0.113.2", owner.discovery.port)
    assert answer.response.attributes["RESPONSE-ORIGIN"] == ("203.0.113.1", owner.main[0].port)
    assert answer.responder == ("127.0.0.1", owner.main[0].port)


async def test_what_asks_nothing_gets_nothing(stack: AsyncExitStack) -> None:
    owner = make(stack)
    sender = UdpSocket.bind("127.0.0.1")
    stack.callback(sender.close)
    sender.send(b"\0\1", ("127.0.0.1", owner.discovery.port))
    assert (await ask(stack, ("127.0.0.1", owner.discovery.port))).mapped
    assert owner.server.answered == 1


async def test_another_socket_is_none_of_its_business(stack: AsyncExitStack) -> None:
    owner = make(stack)
    other = UdpSocket.bind("127.0.0.3")
    stack.callback(other.close)
    assert not owner.discovery.receive(other, b"", ("127.0.0.1", 1))


async def test_a_burst_of_questions(stack: AsyncExitStack) -> None:
    owner = make(stack)
    client, heard, all_heard = UdpSocket.bind("127.0.0.1"), set[bytes](), asyncio.Event()
    stack.callback(client.close)

    def received(data: bytes, source: tuple[str, int]) -> None:
        heard.add(decode(data).transaction_id)
        if len(heard) == 3:
            all_heard.set()

    client.on_datagram = received
    asked = [binding_request() for _ in range(3)]
    burst = b"".join(map(encode, asked))
    source = (client.address, client.port)
    assert owner.discovery.receive_burst(owner.main[0], burst, 20, source)
    async with asyncio.timeout(5):
        await all_heard.wait()
    assert heard == {request.transaction_id for request in asked}
    assert not owner.discovery.receive_burst(client, burst, 20, source)


@pytest.mark.parametrize(
    "burst", [b"", b"\x40\x00" + bytes(18), encode(binding_request()) + b"\x40\x00" + bytes(18), bytes(20)]
)
async def test_a_burst_of_something_else_stays_the_owners(stack: AsyncExitStack, burst: bytes) -> None:
    owner = make(stack)
    assert not owner.discovery.receive_burst(owner.main[0], burst, 20, ("127.0.0.1", 9))
    assert owner.server.answered == 0


async def test_one_public_address_for_both_is_refused(stack: AsyncExitStack) -> None:
    with pytest.raises(ValueError, match="two addresses"):
        Owner({"127.0.0.1": "203.0.113.1", "127.0.0.2": "203.0.113.1"})


async def test_two_main_ports_are_refused(stack: AsyncExitStack) -> None:
    first, second = UdpSocket.bind(ADDRESSES[0]), UdpSocket.bind(ADDRESSES[1])
    stack.callback(first.close)
    stack.callback(second.close)
    if first.port != second.port:
        with pytest.raises(ValueError, match="one port"):
            DiscoverySockets(BindingServer(), (first, second))


async def test_a_second_port_that_is_taken(stack: AsyncExitStack) -> None:
    """On either address; what was opened before it is closed again."""
    main = main_sockets()
    for item in main:
        stack.callback(item.close)
    for address in ADDRESSES:
        taken = UdpSocket.bind(address)
        with pytest.raises(OSError):
            DiscoverySockets(BindingServer(), main, taken.port)
        taken.close()
        for free in ADDRESSES:
            UdpSocket.bind(free, taken.port).close()


async def test_a_port_that_is_free_on_one_address_only_is_passed_over(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = main_sockets()
    for item in main:
        stack.callback(item.close)
    taken = UdpSocket.bind(ADDRESSES[1])
    stack.callback(taken.close)
    asked: list[int] = []
    bind = UdpSocket.bind

    def first_the_taken_one(address: str, port: int = 0) -> UdpSocket:
        if port == 0:
            asked.append(port)
            port = taken.port if len(asked) == 1 else 0
        return bind(address, port)

    monkeypatch.setattr(UdpSocket, "bind", first_the_taken_one)
    discovery = DiscoverySockets(BindingServer(), main)
    stack.callback(discovery.close)
    assert len(asked) == 2
    assert discovery.port != taken.port


async def test_closing_twice(stack: AsyncExitStack) -> None:
    owner = make(stack)
    owner.discovery.close()
    owner.discovery.close()
    assert not any(item.closed for item in owner.main)
