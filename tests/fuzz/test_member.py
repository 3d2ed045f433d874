"""A member with bad intentions: whatever it says on its link, it harms its own link and nobody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from atmosphere.errors import DecodeError, LinkError
from atmosphere.ice.settings import HALF_OPEN_OF_ONE
from atmosphere.mesh import signals, wire
from atmosphere.mesh.node import Node
from atmosphere.mesh.peerlink import READ_BURST, PeerLink
from atmosphere.tasks import Tasks
from tests.fuzz.memory import MIB, growth_below
from tests.fuzz.messages import MessageMutator
from tests.fuzz.test_datagrams import talking
from tests.mesh.nodes import WAIT, Mesh, connected, until

MAX_GROWTH = 32 * MIB
FLOOD_SECONDS = 1.0


@dataclass
class Trio:
    """A founder, an honest member, and one that is not."""

    alpha: Node
    beta: Node
    eve: Node

    @property
    def link(self) -> PeerLink:
        """Eve's end of her link to the founder."""
        link = self.eve.peer("alpha").link
        assert link is not None
        return link

    def mutator(self, seed: int) -> MessageMutator:
        ids = [self.alpha.id, self.beta.id, self.eve.id]
        return MessageMutator(seed, self.eve._parts.home.identity, bytes.fromhex(self.eve.mesh_id), ids)

    def honest_link(self) -> PeerLink | None:
        return self.alpha.peer("beta").link

    def members(self) -> set[str]:
        return {peer.name for node in (self.alpha, self.beta) for peer in node.peers()}


@pytest.fixture
async def trio(mesh: Mesh) -> Trio:
    alpha = await mesh.found()
    beta, eve = await mesh.join(alpha, "beta"), await mesh.join(alpha, "eve")
    await connected(alpha, "beta", "eve")
    await connected(beta, "eve")
    return Trio(alpha, beta, eve)


@asynccontextmanager
async def nobody_else_notices(trio: Trio) -> AsyncIterator[None]:
    """Honest traffic goes on over the link that was there, and memory stays."""
    before = trio.honest_link()
    with growth_below(MAX_GROWTH):
        async with talking(trio.beta, trio.alpha):
            yield
            assert await trio.beta.peer("alpha").ping(WAIT) > 0
    assert trio.honest_link() is before
    assert trio.members() == {"alpha", "beta", "eve"}


async def flood(link: PeerLink, make: Callable[[], wire.Message], seconds: float = FLOOD_SECONDS) -> int:
    """Say as much as the other side takes within `seconds`; how many messages that was."""
    control, said = link._control, 0
    assert control is not None
    try:
        async with asyncio.timeout(seconds):
            while True:
                await control.send(wire.encode(make()))
                said += 1
    except (TimeoutError, LinkError):
        return said


async def test_anything_that_is_no_message_costs_the_link(trio: Trio) -> None:
    mutator = trio.mutator(1)
    async with nobody_else_notices(trio):
        for _ in range(3):
            await connected(trio.eve, "alpha")
            cut = trio.link
            noise = mutator.noise()
            while decodes(noise):
                noise = mutator.noise()
            assert cut._control is not None
            await cut._control.send(noise)
            await until(trio.eve, lambda: trio.eve.peer("alpha").link is not cut)  # noqa: B023
    await connected(trio.alpha, "eve")


def decodes(data: bytes) -> bool:
    try:
        wire.decode(data)
    except DecodeError:
        return False
    return True


async def test_10_000_messages_of_every_kind(trio: Trio) -> None:
    """Past the link's own limits, straight to who acts on them."""
    mutator = trio.mutator(2)
    link = trio.alpha.peer("eve").link
    assert link is not None
    handled = 0
    async with nobody_else_notices(trio):
        for number in range(10_000):
            try:
                message = wire.decode(mutator.noise()) if number % 2 else mutator.message()
            except DecodeError:
                continue
            if not isinstance(message, wire.Bye | wire.Unknown):
                link._handle(trio.alpha._parts.gossip.handle, message)
                handled += 1
            if number % 20 == 0:
                await asyncio.sleep(0)
    assert handled > 5_000
    facts = trio.alpha._parts.home.facts
    assert facts is not None
    assert len(facts) < 100


@pytest.mark.parametrize("kind", ["ping", "digest", "have", "facts", "contacts", "signal", "any"])
async def test_a_flood_is_slowed_down(trio: Trio, kind: str) -> None:
    mutator = trio.mutator(3)
    ids = trio.alpha._parts.roster.fact_ids()
    makers: dict[str, Callable[[], wire.Message]] = {
        "ping": lambda: wire.Ping(7),
        "digest": lambda: wire.Digest(bytes(32)),
        "have": lambda: wire.Have(ids),
        "facts": lambda: wire.Facts([mutator.fact() for _ in range(4)]),
        "contacts": lambda: wire.Contacts([mutator.contact() for _ in range(4)]),
        "signal": lambda: mutator.signal(trio.alpha.id),
        "any": mutator.message,
    }
    async with nobody_else_notices(trio):
        said = await flood(trio.link, makers[kind])
    # What it was let say: the burst, what the rate allows meanwhile, and what fits into the channel's window.
    assert said < 3 * READ_BURST + 10_000
    await trio.eve.stop()


async def test_a_flood_of_questions_by_somebody_who_hears_no_answer(
    trio: Trio, caplog: pytest.LogCaptureFixture
) -> None:
    link = trio.link
    async with nobody_else_notices(trio):
        await link._tasks.close()
        empty = wire.Have([])
        await flood(link, lambda: empty)
        await flood(link, lambda: wire.Ping(1))
    await trio.eve.stop()


async def test_a_flood_through_a_neighbour_costs_the_victim_nothing(trio: Trio) -> None:
    mutator = trio.mutator(4)
    signal = wire.Signal(trio.beta.id, trio.eve.id, b"\x01" + bytes(12_000))
    async with nobody_else_notices(trio):
        victim = trio.honest_link()
        await flood(trio.link, lambda: signal)
        await flood(trio.link, lambda: mutator.signal(trio.beta.id))
        assert trio.honest_link() is victim


async def test_streams_channels_and_datagrams_without_end(trio: Trio, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # each refusal is a line
    peer = trio.eve.peer("alpha")
    tasks = Tasks("eve")
    async with nobody_else_notices(trio):
        for number in range(1500):
            try:
                stream = await peer.open_stream("nothing" if number % 2 else "echo")
                stream.write(b"x" * 1000)
                if number % 3 == 0:
                    await peer.open_channel("nobody")
                peer.send_datagram(b"x" * 1150)
            except LinkError:
                break
            if number % 10 == 0:
                await asyncio.sleep(0)
    await tasks.close()


async def test_dials_without_end(trio: Trio) -> None:
    """Each is told as it should be, and leads to addresses where nobody answers."""
    mux, parts = trio.alpha._parts.listeners.endpoint.mux, trio.eve._parts
    lines = [f"f 1 udp {number} 127.0.0.1 {number} typ host" for number in range(1, 1 + signals.MAX_CANDIDATES)]
    async with nobody_else_notices(trio):
        for number in range(300):
            await parts.signaler.to_member(trio.alpha.id, signals.Dial(f"name{number}", lines))
        await until(trio.alpha, lambda: len(mux.sessions) > 2)
        assert len(mux.sessions) <= HALF_OPEN_OF_ONE + 4
    former = trio.honest_link()
    assert former is not None
    former.abort("the test cuts it")
    await until(trio.alpha, lambda: trio.honest_link() not in (None, former))


async def test_links_without_end(trio: Trio) -> None:
    peer = trio.eve.peer("alpha")
    async with nobody_else_notices(trio):
        for _ in range(3):
            attempts = [trio.eve._parts.connecting.attempt(peer) for _ in range(10)]
            await asyncio.wait_for(asyncio.gather(*attempts, return_exceptions=True), 60)
        assert len(trio.alpha._parts.listeners.endpoint.mux.sessions) < HALF_OPEN_OF_ONE
    await connected(trio.alpha, "eve")
