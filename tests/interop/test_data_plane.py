"""Our SCTP and DTLS against libwebrtc, libdatachannel and Chromium: every size and kind of message, and every end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from atmosphere.channels.channel import Channel
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.settings import IceSettings
from atmosphere.identity import Identity
from atmosphere.sctp.interface import BROWSER_MESSAGE
from tests.interop.data_peers import Peer, chromium_peer, node_peer
from tests.interop.webrtc import WebRtcPeer
from tests.until import until

STACKS = [
    pytest.param("wrtc", marks=pytest.mark.needs("wrtc")),
    pytest.param("libdatachannel", marks=pytest.mark.needs("libdatachannel")),
    pytest.param("chromium", marks=[pytest.mark.needs("chromium"), pytest.mark.soak]),
]
SIZES = [1, 2, 100, 1155, 1156, 1157, 1160, 1161, 5000, 16_384, 65_536, 100_000, BROWSER_MESSAGE]
PATIENCE = 30.0


def pattern(size: int, *, text: bool) -> bytes | str:
    """As data_core.mjs makes it."""
    if text:
        return chr(97 + size % 26) * size
    return bytes((place * 31 + size) & 255 for place in range(size))


def adler(data: bytes | str) -> int:
    """As data_core.mjs counts it."""
    low, high = 1, 0
    for one in data.encode() if isinstance(data, str) else data:
        low = (low + one) % 65521
        high = (high + low) % 65521
    return high * 65536 + low


@asynccontextmanager
async def stock(stack: str) -> AsyncIterator[Peer]:
    async with chromium_peer() if stack == "chromium" else node_peer(stack) as peer:
        yield peer


@asynccontextmanager
async def connected(stack: str, *, offers: bool = True) -> AsyncIterator[tuple[WebRtcPeer, Peer]]:
    """Ours and theirs, over every address of this machine, for libwebrtc does not look at loopback by itself."""
    settings = IceSettings(loopback=True)
    async with IceEndpoint(settings) as endpoint, stock(stack) as theirs:
        ours = WebRtcPeer(endpoint, Identity.generate())
        if offers:
            offer = (await theirs("offer"))["sdp"]
            await theirs("answered", sdp=ours.describe("active"))
            await ours.connect(offer, offered=False, client=True)
        else:
            answer = (await theirs("accept", sdp=ours.describe("actpass")))["sdp"]
            await ours.connect(answer, offered=True, client=False)
        async with ours:
            await theirs("ready")
            try:
                yield ours, theirs
            except BaseException:
                print(ours.link.dump())
                raise


async def received(channel: Channel, count: int) -> list[bytes | str]:
    async with asyncio.timeout(PATIENCE):
        return [await channel.receive() for _ in range(count)]


@pytest.mark.parametrize("offers", [True, False], ids=["it offers", "we offer"])
@pytest.mark.parametrize("stack", STACKS)
async def test_every_size_and_kind_comes_back_as_it_was(stack: str, offers: bool) -> None:
    async with connected(stack, offers=offers) as (ours, theirs):
        channel = await ours.next_channel()
        assert channel.label == "first"
        for text in (False, True):
            sent = [pattern(size, text=text) for size in SIZES]
            for message in sent:
                await channel.send(message)
            assert await received(channel, len(sent)) == sent
        await theirs("sink", label="first")
        await channel.send("")
        await channel.send(b"")
        assert sorted((await theirs("took", label="first", count=2))["messages"])[0][0] == 0
        await theirs("send", label="first", sizes=SIZES, text=False)
        assert await received(channel, len(SIZES)) == [pattern(size, text=False) for size in SIZES]


@pytest.mark.parametrize("stack", STACKS)
async def test_channels_of_every_kind_open_close_and_open_again(stack: str) -> None:
    async with connected(stack) as (ours, theirs):
        await ours.next_channel()
        kinds: list[dict[str, bool | int]] = [
            {},
            {"ordered": False},
            {"ordered": False, "max_retransmits": 0},
            {"max_retransmits": 3},
            {"max_lifetime_ms": 500},
        ]
        for again in range(2):
            opened = [await ours.link.open_channel(f"{again}/{n}", **kind) for n, kind in enumerate(kinds)]  # type: ignore[arg-type]
            for channel in opened:
                await channel.send(channel.label)
            for channel in opened:
                assert await received(channel, 1) == [channel.label]
            for n, channel in enumerate(opened):
                if n % 2:
                    await channel.close()
                else:
                    await theirs("close", label=channel.label)
            for channel in opened:
                await theirs("closed", label=channel.label)
            await until(lambda opened=opened: all(channel.end_reason for channel in opened), PATIENCE)  # type: ignore[misc]
        await theirs("open", label="theirs", options={"ordered": False, "maxRetransmits": 2})
        channel = await ours.next_channel()
        assert (channel.label, channel.ordered, channel.max_retransmits) == ("theirs", False, 2)
        await theirs("close", label="theirs")
        await until(lambda: channel.end_reason is not None, PATIENCE)
        await theirs("closed", label="theirs")


@pytest.mark.parametrize("stack", STACKS)
async def test_much_both_ways_at_once(stack: str) -> None:
    async with connected(stack) as (ours, theirs):
        up = await ours.link.open_channel("up")
        await theirs("sink", label="up")
        down = await ours.next_channel()
        count, size = 300, 65_000
        sending = asyncio.ensure_future(theirs("send", label="first", sizes=[size] * count, text=False))
        data = pattern(size, text=False)

        async def send() -> None:
            for _ in range(count):
                await up.send(data)

        _, got = await asyncio.gather(send(), received(down, count))
        assert all(message == data for message in got)
        taken = (await theirs("took", label="up", count=count))["messages"]
        assert taken == [[size, False, adler(data)]] * count
        await sending


@pytest.mark.parametrize("stack", STACKS)
async def test_hundreds_of_channels(stack: str) -> None:
    count = 500  # libwebrtc and libdatachannel take ids up to 1,023, half of them ours
    async with connected(stack) as (ours, theirs):
        before = (await theirs("count"))["channels"]
        opened = [await ours.link.open_channel(str(n)) for n in range(count)]
        async with asyncio.timeout(PATIENCE):  # libwebrtc for Node drops what comes before anybody listens
            while (await theirs("count"))["channels"] < before + count:
                pass
        for channel in opened:
            await channel.send(channel.label)
        for channel in opened:
            assert await received(channel, 1) == [channel.label]
        for channel in opened:
            await channel.close()
        await until(lambda: all(channel.end_reason for channel in opened), PATIENCE)


@pytest.mark.parametrize("stack", STACKS)
async def test_either_side_ends_it(stack: str) -> None:
    async with connected(stack) as (ours, theirs):
        channel = await ours.next_channel()
        await channel.send("still here")
        assert await received(channel, 1) == ["still here"]
        await ours.link.close("enough")
        await theirs("ended")
    async with connected(stack) as (ours, theirs):
        await theirs("leave")
        assert await asyncio.wait_for(ours.link.wait_closed(), PATIENCE)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stack", STACKS)
async def test_fifty_times_without_a_stall(stack: str) -> None:
    for number in range(int(os.environ.get("INTEROP_RUNS", "50"))):
        await test_every_size_and_kind_comes_back_as_it_was(stack, number % 2 == 0)
        await test_channels_of_every_kind_open_close_and_open_again(stack)
        await test_either_side_ends_it(stack)
