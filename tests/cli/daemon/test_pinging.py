"""Pings until the path is direct: at once when it becomes so, and never for longer than was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from atmosphere.cli.control.messages import Ping, Pong
from atmosphere.cli.daemon.pinging import Pinging
from tests.cli.fake import DIRECT, RELAYED, FakeNode, FakePeer
from tests.until import until

LONG = 3600.0


class Steady(FakePeer):
    """Answers every ping; its path is what the test says."""

    async def ping(self, timeout: float = 5.0) -> float:
        return 12.0


class Node(FakeNode):
    """A node whose events the test gives."""

    def __init__(self) -> None:
        super().__init__()
        self.bob = Steady("d" * 52, "bob")
        self.bob.path = RELAYED
        self.members = [self.bob]
        self.told: asyncio.Queue[str] = asyncio.Queue()

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.told.get()


class Reports:
    def __init__(self) -> None:
        self.pongs: asyncio.Queue[Pong] = asyncio.Queue()

    async def __call__(self, pong: Pong) -> None:
        self.pongs.put_nowait(pong)

    async def next(self) -> Pong:
        async with asyncio.timeout(5):
            return await self.pongs.get()


def begin(node: Node, request: Ping) -> tuple[asyncio.Task[Any], Reports]:
    reports = Reports()
    return asyncio.ensure_future(Pinging(node, request, cast("Any", reports)).run()), reports


async def test_a_path_that_becomes_direct_is_asked_at_once() -> None:
    node = Node()
    running, reports = begin(node, Ping("bob", 0, 5.0, LONG, True))
    assert (await reports.next()).kind == "relay"
    node.told.put_nowait("something else")
    await until(node.told.empty)
    node.bob.path = DIRECT
    node.told.put_nowait("it is direct")
    pong = await reports.next()
    assert (pong.kind, pong.peer, pong.route) == ("direct", "bob", "direct 203.0.113.9:7777")
    result = await running
    assert (result["sent"], result["received"], result["path"]) == (2, 2, DIRECT)
    assert result["rtt_ms"] == {"min": 12.0, "avg": 12.0, "max": 12.0}


async def test_it_ends_after_the_time_that_it_has() -> None:
    running, _ = begin(Node(), Ping("bob", 0, 5.0, LONG, True, 0.01))
    result = await running
    assert (result["sent"], result["path"]) == (1, RELAYED)


async def test_a_pong_over_a_path_that_changed_meanwhile_is_of_no_kind() -> None:
    node = Node()

    async def ping(timeout: float = 5.0) -> float:
        node.bob.path = DIRECT
        return 12.0

    node.bob.ping = ping  # type: ignore[method-assign]
    running, reports = begin(node, Ping("bob", 1, 5.0, LONG, True))
    assert (await reports.next()).kind is None
    assert (await running)["received"] == 1
