"""Two links in one loop, over a path in memory that loses, repeats and reorders as it is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from atmosphere.channels.channel import Channel
from atmosphere.channels.link import Link
from atmosphere.identity import Identity

ALICE, BOB = Identity.generate(), Identity.generate()


@dataclass
class Weather:
    """What a path does to datagrams, each a share of one."""

    loss: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    seed: int = 1


class End:
    """One end of a path in memory."""

    def __init__(self, weather: Weather, seed: int) -> None:
        self._random = random.Random(seed)
        self.weather = weather
        self.on_datagram: Callable[[bytes], None] | None = None
        self.on_burst: Callable[[bytes, int], None] | None = None
        self.on_writable: Callable[[], None] = lambda: None
        self.blocked = False
        self.peer: End = self
        self.sent: list[bytes] = []
        self.recording = False
        self.dead = False
        self.width = 65_507

    def send(self, datagram: bytes) -> None:
        if self.recording:
            self.sent.append(datagram)
        if self.dead or self._random.random() < self.weather.loss:
            return
        self._schedule(datagram)
        if self._random.random() < self.weather.repeat:
            self._schedule(datagram)

    def send_burst(self, data: bytes, segment: int) -> None:
        for start in range(0, len(data), segment):
            self.send(data[start : start + segment])

    def send_probe(self, datagram: bytes) -> None:
        if len(datagram) <= self.width:
            self.send(datagram)

    def _schedule(self, datagram: bytes) -> None:
        loop = asyncio.get_running_loop()
        if self._random.random() < self.weather.reorder:
            loop.call_later(0.003, self._deliver, datagram)
        else:
            loop.call_soon(self._deliver, datagram)

    def _deliver(self, datagram: bytes) -> None:
        if self.peer.on_datagram is not None:
            self.peer.on_datagram(datagram)


def path(weather: Weather | None = None) -> tuple[End, End]:
    weather = weather or Weather()
    one, other = End(weather, weather.seed), End(weather, weather.seed + 1000)
    one.peer, other.peer = other, one
    return one, other


def no_tasks() -> None:
    """Nothing but the test itself runs."""
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@asynccontextmanager
async def two_links(weather: Weather | None = None, *, plain: bool = False) -> AsyncIterator[tuple[Link, Link]]:
    """A client's and a server's link, up; both are closed at the end."""
    one, other = path(weather)
    client = Link(one, ALICE, client=True, plain=plain)
    server = Link(other, BOB, client=False, plain=plain)
    await asyncio.gather(client.start(), server.start())
    try:
        yield client, server
    finally:
        client.abort("the test is over")
        server.abort("the test is over")
    no_tasks()


async def within(work: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until `work` gives something true, asking at every turn of the loop."""
    async with asyncio.timeout(seconds):
        while not work():  # noqa: ASYNC110 - nothing tells of these moments
            await asyncio.sleep(0)


async def accept(link: Link) -> asyncio.Queue[Channel]:
    arrived: asyncio.Queue[Channel] = asyncio.Queue()
    link.on_channel = arrived.put_nowait
    return arrived
