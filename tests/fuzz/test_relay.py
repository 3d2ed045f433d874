"""100,000 random and mutated datagrams at a TURN server whose users talk meanwhile, and at its core alone."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atmosphere.stun.message import Class, Message, Method
from atmosphere.tasks import Tasks
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.server.service import TurnService
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.users import StaticUsers
from atmosphere.udp.socket import UdpSocket
from tests.fuzz.memory import MIB, growth_below
from tests.fuzz.mutate import Mutator
from tests.turn.server.script import NUMBER, PEER, UDP, World, channel_data
from tests.until import until

DATAGRAMS = 100_000
BURST = 64
MAX_GROWTH = 16 * MIB
SOURCES = 256

Address = tuple[str, int]


@asynccontextmanager
async def relay() -> AsyncIterator[tuple[TurnService, UdpSocket]]:
    limits = TurnSettings(addresses={"127.0.0.1": "127.0.0.1"}, allow_peers=("127.0.0.0/8",), sources=SOURCES)
    service, door = TurnService(limits, StaticUsers({"anna": "secret"})), UdpSocket.bind("127.0.0.1")
    await service.start()
    service.listen(door)
    yield service, door
    await service.stop()
    door.close()


class Talk:
    """Two allocations of one relay that echo to each other, every byte compared."""

    def __init__(self, port: int) -> None:
        end = TurnEndpoint(("127.0.0.1", port), "udp", "anna", "secret")
        self.one, self.two = Allocation(end), Allocation(end)
        self.rounds = 0
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.one.on_datagram = lambda data, source: self._heard.put_nowait(data)
        self.two.on_datagram = self.two.send

    async def open(self) -> None:
        await self.one.open()
        await self.two.open()
        self.two.send(b"permitted", self.one.relayed)
        while not self.rounds:
            await self.round()

    async def round(self) -> None:
        """Ask until the answer comes: the door's buffer may overflow under a flood, as any would."""
        said = self.rounds.to_bytes(4) * 200
        while True:
            self.one.send(said, self.two.relayed)
            try:
                async with asyncio.timeout(0.5):
                    while await self._heard.get() != said:
                        pass
            except TimeoutError:
                continue
            self.rounds += 1
            return

    async def for_ever(self) -> None:
        while True:
            await self.round()

    async def close(self) -> None:
        await self.one.close()
        await self.two.close()


def seen(port: int) -> list[bytes]:
    """Real messages, for the mutator to change: what a client says that knows its password, and one that does not."""
    world = World()
    client = world.client()
    messages = [
        Message(Method.ALLOCATE, Class.REQUEST, attributes={"REQUESTED-TRANSPORT": UDP}),
        client.signed(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP, "EVEN-PORT": 0x80, "DONT-FRAGMENT": None}),
        client.signed(Method.REFRESH, {"LIFETIME": 0}),
        client.signed(Method.CREATE_PERMISSION, {"XOR-PEER-ADDRESS": ("127.0.0.1", port)}),
        client.signed(Method.CHANNEL_BIND, {"CHANNEL-NUMBER": NUMBER, "XOR-PEER-ADDRESS": PEER}),
        Message(Method.SEND, Class.INDICATION, attributes={"XOR-PEER-ADDRESS": PEER, "DATA": b"payload"}),
        Message(Method.BINDING, Class.REQUEST),
    ]
    return [*map(bytes, messages), channel_data(NUMBER, b"payload"), channel_data(0x4000, bytes(1200))]


async def throw(number: int, door: UdpSocket, make: Mutator) -> tuple[int, int]:
    """Send that many datagrams from several addresses, no faster than they are read; bytes sent and bytes answered."""
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(12)]
    for place, sock in enumerate(senders):
        sock.bind((f"127.0.0.{2 + place}", 0))
        sock.setblocking(False)
    sent = answered = 0
    try:
        for first in range(0, number, BURST):
            before = door.received
            for place in range(BURST):
                data = make.datagram()
                senders[(first + place) % len(senders)].sendto(data, ("127.0.0.1", door.port))
                sent += len(data)
            await until(lambda before=before: door.received >= before + BURST)  # type: ignore[misc]
            answered += sum(map(heard, senders))
    finally:
        for sock in senders:
            sock.close()
    return sent, answered


def heard(sock: socket.socket) -> int:
    """Bytes that came back."""
    size = 0
    while True:
        try:
            size += len(sock.recv(65536))
        except BlockingIOError:
            return size


async def test_a_flood_disturbs_nobody_and_leaves_nothing() -> None:
    async with relay() as (service, door):
        talk, make = Talk(door.port), Mutator(20261125)
        make.seen = seen(door.port)
        await talk.open()
        await throw(4096, door, make)
        tasks = Tasks("talk")
        going = tasks.spawn(talk.for_ever(), "rounds")
        assert going is not None
        rounds = talk.rounds
        with growth_below(MAX_GROWTH):
            sent, answered = await throw(DATAGRAMS, door, make)
        await until(lambda: talk.rounds >= rounds + 10, 30)
        assert not going.done()
        stats = service.stats()
        assert (stats["turn_allocations"], stats["turn_users"], stats["turn_reservations"]) == (2, 1, 0)
        assert stats["turn_tracked_sources"] <= SOURCES
        assert set(service._doors[door].flows) == {
            one._protocol.transport.get_extra_info("sockname") for one in (talk.one, talk.two) if one._protocol
        }
        assert door.failures == 0
        assert answered < sent
        await tasks.close()
        await talk.close()


@pytest.mark.parametrize("transport", ["udp", "ws"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), whose=st.booleans())
def test_the_core_takes_anything_and_keeps_its_tables(transport: str, seed: int, whose: bool) -> None:
    """Also from a client that has an allocation, and in bursts of any segment size."""
    limits = TurnSettings(
        addresses={"192.0.2.1": "198.51.100.1"}, allocations_per_user=4, permissions=4, channels=4, sources=8
    )
    world = World(limits)
    client = world.client(transport="udp" if transport == "udp" else "ws")
    if whose:
        client.allocated()
        client.bind()
    make, chance = Mutator(seed), random.Random(seed)
    make.seen = seen(1)
    for _ in range(100):
        burst = b"".join(make.datagram() for _ in range(chance.randrange(1, 5)))[:65535]
        if transport == "udp":
            client.say(burst, chance.choice((1, 4, 5, 11, 104, 1204, len(burst) or 1)))
        else:
            world.core.messages(client.flow, [make.datagram(), burst], world.now)
        for relay_ in world.host.living:
            data = make.datagram() or b"x"
            relay_.arrives(chance.choice((PEER, ("10.0.0.1", 1))), data, now=world.now)
        world.passes(chance.choice((0, 0, 1)))
    # What was seen is signed by a user of this very world, so it may well get an allocation, and keep ports.
    assert len(world.core.table) <= 1
    assert len(world.core.table) + len(world.core.allocator.reservations) == world.core.quotas.total <= 4
    assert len(world.host.living) == world.core.quotas.total
    assert len(world.core.guard) <= 8
    if client.flow.allocation is not None:
        assert len(client.flow.allocation.permissions) <= 4
        assert len(client.flow.allocation.channels) <= 4
