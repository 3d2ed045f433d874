"""libwebrtc restarts ICE, or is asked to: the data channel goes on, and every message comes once and in order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atmosphere.channels.channel import Channel
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.settings import IceSettings
from atmosphere.identity import Identity
from atmosphere.tasks import Tasks
from tests.interop.webrtc import WebRtcPeer
from tests.until import until

pytestmark = pytest.mark.needs("wrtc")

PROGRAM = str(Path(__file__).parent / "node" / "restart_peer.mjs")
COUNT = 2000
"""Messages each way: all of them at once, after a break, are less than a channel keeps for its reader."""
ANSWER_TIME = 20.0


class Stock:
    """The libwebrtc peer: commands go in, answers come out in any order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __call__(self, do: str, **what: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"id": number, "do": do, **what}) + b"\n")
        async with asyncio.timeout(ANSWER_TIME):
            found: dict[str, Any] = await answer
        assert "error" not in found, found
        return found

    async def hear(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = msgspec.json.decode(line)
            waiting = self._answers.pop(answer["id"])
            if not waiting.done():
                waiting.set_result(answer)


@asynccontextmanager
async def stock_peer() -> AsyncIterator[Stock]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", PROGRAM, stdin=pipe, stdout=pipe, limit=2**20)
    stock, tasks = Stock(process), Tasks("stock")
    tasks.spawn(stock.hear(), "answers")
    try:
        yield stock
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await tasks.close()


class Numbers:
    """Our end of the channel: numbers out, all that comes in kept."""

    def __init__(self, channel: Channel, tasks: Tasks) -> None:
        self._channel = channel
        self.received: list[int] = []
        tasks.spawn(self._hear(), "hear")

    async def _hear(self) -> None:
        async for message in self._channel:
            self.received.append(int(message))

    async def send(self, numbers: range) -> None:
        for number in numbers:
            await self._channel.send(str(number))
            if number % 2 == 0:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("cut", [False, True], ids=["before the break", "after the break"])
@pytest.mark.parametrize("ours", [False, True], ids=["by libwebrtc", "by us"])
async def test_a_restart_under_an_open_channel(ours: bool, cut: bool) -> None:
    tasks = Tasks("test")
    async with (
        IceEndpoint(IceSettings()) as endpoint,
        stock_peer() as stock,
        WebRtcPeer(endpoint, Identity.generate()) as peer,
    ):
        offer = (await stock("offer"))["sdp"]
        connecting = tasks.spawn(peer.connect(offer, offered=False, client=True), "connect")
        assert connecting is not None
        await stock("answered", sdp=peer.describe("active"))
        await connecting
        peer.path.keep()
        numbers = Numbers(await peer.next_channel(), tasks)
        first = peer.path.session
        sending = [
            tasks.spawn(stock("send", **{"from": 0, "to": COUNT}), "theirs"),
            tasks.spawn(numbers.send(range(COUNT)), "ours"),
        ]
        await until(lambda: len(numbers.received) > COUNT // 10)
        if cut:
            first.fail("cut by the test")
        if ours:
            answer = (await stock("accept", sdp=peer.offer_restart()))["sdp"]
            peer.restart(answer, offered=True)
        else:
            peer.renew()
            peer.restart((await stock("offer", restart=True))["sdp"], offered=False)
            await stock("answered", sdp=peer.describe("active"))
        assert len(numbers.received) < COUNT
        await until(lambda: peer.path.session is not first and peer.path.state == "connected", 15)
        for task in sending:
            assert task is not None
            await task
        await numbers.send(range(COUNT, COUNT + 100))
        theirs = (await stock("received", count=COUNT + 100))["messages"]
        await until(lambda: len(numbers.received) >= COUNT)
        assert theirs == list(range(COUNT + 100))
        assert numbers.received == list(range(COUNT))
        await until(lambda: first.is_over)
        assert (await stock("state"))["channel"] == "open"
        await tasks.close()
