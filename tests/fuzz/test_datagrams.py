"""100,000 random and mutated datagrams at the port of a node that talks to a peer meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from atmosphere.channels.stream import Stream
from atmosphere.ice.base import Base
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.mux import Mux
from atmosphere.ice.settings import HALF_OPEN_OF_ONE, IceSettings
from atmosphere.mesh.dialer import MAX_ACCEPTED_OF_ONE
from atmosphere.mesh.node import Node
from atmosphere.stun.message import Class, Message, Method, decode, encode
from atmosphere.tasks import Tasks
from tests.fuzz.memory import MIB, growth_below
from tests.fuzz.mutate import Mutator
from tests.mesh.nodes import WAIT, Mesh, connected
from tests.until import until

FROM_STRANGERS = 80_000
FROM_THE_PEER = 20_000
BURST = 64
MAX_GROWTH = 24 * MIB

Address = tuple[str, int]
Send = Callable[[bytes], None]


def mux_of(node: Node) -> Mux:
    return node._parts.listeners.endpoint.mux


class Ear:
    """Counts, and keeps, what a node's port gets."""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard = 0
        self.seen: list[bytes] = []
        self._receive = mux_of(node).receive_burst
        monkeypatch.setattr(mux_of(node), "receive_burst", self._hear)

    def _hear(self, base: Base, data: bytes, segment: int, source: Address) -> bool:
        pieces = [data[start : start + segment] for start in range(0, len(data), segment)] if data else [data]
        self.heard += len(pieces)
        self.seen += pieces[: 512 - len(self.seen)]
        return self._receive(base, data, segment, source)


async def echo(stream: Stream) -> None:
    while data := await stream.read(65536):
        stream.write(data)
        await stream.drain()
    await stream.write_eof()


class Talk:
    """Traffic between two nodes, back and forth on one stream, every byte compared."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.rounds = 0

    async def round(self) -> None:
        said = self.rounds.to_bytes(4, "big") * 256
        self._stream.write(said)
        async with asyncio.timeout(WAIT):
            assert await self._stream.readexactly(len(said)) == said
        self.rounds += 1

    async def for_ever(self) -> None:
        while True:
            await self.round()


@asynccontextmanager
async def talking(sender: Node, receiver: Node) -> AsyncIterator[Talk]:
    receiver.on_stream("echo", echo)
    talk = Talk(await sender.peer(receiver.name).open_stream("echo"))
    await talk.round()
    tasks = Tasks("talk")
    going = tasks.spawn(talk.for_ever(), "rounds")
    assert going is not None
    try:
        yield talk
        assert not going.done(), "the traffic ended"
        rounds = talk.rounds
        # A flood and its victims share this process, and it may be traced: what is left of the flood comes first.
        await until(lambda: talk.rounds >= rounds + 10, 4 * WAIT)
    finally:
        await tasks.close()


async def throw(number: int, ear: Ear, make: Callable[[], bytes], sends: list[Send]) -> None:
    """Send in bursts that the node has time to hear: none is lost on the way."""
    before = ear.heard
    for sent in range(0, number, BURST):
        for place in range(BURST):
            sends[(sent // BURST + place) % len(sends)](make())
        async with asyncio.timeout(WAIT):
            while ear.heard < before + sent:  # noqa: ASYNC110 - the loop shall read, that is all
                await asyncio.sleep(0)


@asynccontextmanager
async def strangers(port: int) -> AsyncIterator[list[Send]]:
    """Sockets of several ports and addresses of loopback."""
    opened = []
    for number in range(12):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((f"127.0.0.{1 + number % 4}", 0))
        sock.setblocking(False)
        opened.append(sock)

    def sender(sock: socket.socket) -> Send:
        def send(data: bytes) -> None:
            sock.sendto(data, ("127.0.0.1", port))

        return send

    try:
        yield [sender(sock) for sock in opened]
    finally:
        for sock in opened:
            sock.close()


def from_its_own_address(peer: Node, port: int) -> Send:
    """As somebody who forges the peer's address."""
    [base] = [base for base in mux_of(peer)._bases.values() if not base.is_relay]
    return lambda data: base.send(data, ("127.0.0.1", port))


def tables(node: Node) -> dict[str, int]:
    mux = mux_of(node)
    return {
        "sessions": len(mux.sessions),
        "routes": len(mux._routes),
        "half open": len(mux._newcomers),
        "asked": mux._generations.asked,
        "ended": mux._generations.ended,
        "reasons": len(mux.dropped),
    }


async def test_100_000_datagrams_at_a_node_with_traffic(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = await mesh.found()
    ear = Ear(alpha, monkeypatch)
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    code = await alpha.invite(uses=5)
    link = alpha.peer("beta").link
    mutator = Mutator(1, [*mux_of(alpha)._listeners, *(session.local_ufrag for session in mux_of(alpha).sessions)])
    async with talking(beta, alpha), strangers(alpha.port) as sends:
        mutator.seen = ear.seen
        await throw(2_000, ear, mutator.datagram, sends)
        before = tables(alpha)
        with growth_below(MAX_GROWTH):
            await throw(FROM_STRANGERS, ear, mutator.datagram, sends)
            await throw(FROM_THE_PEER, ear, mutator.datagram, [from_its_own_address(beta, alpha.port)])
        after = tables(alpha)
    print(before, after, dict(mux_of(alpha).dropped))
    assert ear.heard > FROM_STRANGERS + FROM_THE_PEER
    assert after["sessions"] <= before["sessions"]
    assert after["routes"] <= before["routes"] + len(sends)
    assert after["asked"] <= before["asked"] + 1000
    assert after["reasons"] < 16
    assert alpha.peer("beta").link is link, "the link was replaced"
    assert await beta.peer("alpha").ping() > 0
    gamma = await mesh.fresh("gamma")
    await gamma.join(code)


async def test_somebody_with_a_code_opens_sessions_without_end(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = await mesh.found()
    ear = Ear(alpha, monkeypatch)
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    secret = (await alpha.invite()).dial_secret
    numbers = iter(range(10**6))

    def check() -> bytes:
        message = Message(Method.BINDING, Class.REQUEST)
        message.attributes["USERNAME"] = f"{secret.ufrag}:ufrag{next(numbers):07}"
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 7
        message.add_message_integrity(secret.password.encode())
        message.add_fingerprint()
        return encode(message)

    async with talking(beta, alpha), strangers(alpha.port) as sends:
        with growth_below(MAX_GROWTH):
            await throw(5_000, ear, check, sends)
        assert 0 < tables(alpha)["half open"] <= HALF_OPEN_OF_ONE
    gamma = await mesh.fresh("gamma")
    await gamma.join(await alpha.invite())


async def test_somebody_with_a_code_connects_again_and_again_and_says_nothing(mesh: Mesh) -> None:
    alpha = await mesh.found()
    secret, other = (await alpha.invite(uses=100)).dial_secret, await alpha.invite()
    [candidate] = [one for one in alpha._parts.dialer.candidates() if one.transport == "udp"]
    async with AsyncExitStack() as stack:
        sessions = []
        for number in range(MAX_ACCEPTED_OF_ONE + 20):
            eve = await stack.enter_async_context(IceEndpoint(IceSettings(addresses=("127.0.0.1",))))
            local = IceCredentials(f"silent{number}", secret.dialer_password(f"silent{number}"))
            sessions.append(eve.dial(local, IceCredentials(secret.ufrag, secret.password)))
            sessions[-1].add_remote(candidate)
            if number % 8 == 0:
                await asyncio.sleep(0)
        making = alpha._parts.dialer._making
        await until(lambda: making[secret.ufrag] == MAX_ACCEPTED_OF_ONE)
        gamma = await mesh.fresh("gamma")
        await gamma.join(other)
        await until(lambda: making.total() <= MAX_ACCEPTED_OF_ONE)  # gamma's own greeting may end after its join
    assert len(mux_of(alpha).sessions) <= MAX_ACCEPTED_OF_ONE + 1


async def test_a_check_that_was_overheard_comes_from_everywhere(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = await mesh.found()
    ear = Ear(alpha, monkeypatch)
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    checks = [data for data in ear.seen if is_check(data)]
    async with talking(beta, alpha):
        for number in range(2_000):
            goal = ear.heard + 1
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((f"127.0.{1 + number // 250}.{1 + number % 250}", 0))
                for data in checks[-2:]:
                    sock.sendto(data, ("127.0.0.1", alpha.port))
            while ear.heard < goal:  # noqa: ASYNC110 - the loop shall read, that is all
                await asyncio.sleep(0)
        print(tables(alpha))
        assert tables(alpha)["routes"] < 256
        assert all(len(session.report()) <= 256 for session in mux_of(alpha).sessions)
    assert await beta.peer("alpha").ping() > 0


def is_check(data: bytes) -> bool:
    if data[:2] != b"\x00\x01":
        return False
    message = decode(data)
    return message.message_class == Class.REQUEST and "USERNAME" in message.attributes
