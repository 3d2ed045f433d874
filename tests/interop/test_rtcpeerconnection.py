"""Against aiortc's stock RTCPeerConnection: offer and answer, ICE through our one port, DTLS, SCTP, data channels."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from atmosphere.channels.channel import Channel
from atmosphere.errors import ChannelClosed, LinkError
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.identity import Identity
from tests.ice.loopback import LOOPBACK
from tests.interop.webrtc import Setup, WebRtcPeer, fingerprint
from tests.until import until

Way = Callable[[WebRtcPeer, "Stock"], Awaitable[None]]

MESSAGES: list[bytes | str] = ["text", b"binary", "", b"", "grüße, 世界", b"\x00\xff" * 30_000, "x" * 100_000]


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
async def endpoint() -> AsyncIterator[IceEndpoint]:
    async with IceEndpoint(LOOPBACK) as made:
        yield made


class Stock:
    """A stock peer connection and what it received."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection()
        self.first = self.connection.createDataChannel("first", protocol="chat")
        self.messages: list[bytes | str] = []
        self.channels: list[RTCDataChannel] = []
        self.connection.on("datachannel", self._opened)
        self.listen(self.first)

    def _opened(self, channel: RTCDataChannel) -> None:
        self.channels.append(channel)
        self.listen(channel)

    def listen(self, channel: RTCDataChannel) -> RTCDataChannel:
        channel.on("message", self.messages.append)
        return channel

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def answer(self, offer: str) -> str:
        await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return str(self.connection.localDescription.sdp)

    async def take_answer(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def open(self) -> None:
        await until(lambda: self.first.readyState == "open")


async def it_offers(peer: WebRtcPeer, stock: Stock, setup: Setup = "active") -> None:
    offer = await stock.offer()
    assert "a=setup:actpass" in offer
    await stock.take_answer(peer.describe(setup))
    await peer.connect(offer, offered=False, client=setup == "active")


async def we_offer(peer: WebRtcPeer, stock: Stock) -> None:
    answer = await stock.answer(peer.describe("actpass"))
    assert "a=setup:active" in answer
    await peer.connect(answer, offered=True, client=False)


async def it_offers_and_we_wait(peer: WebRtcPeer, stock: Stock) -> None:
    await it_offers(peer, stock, "passive")


WAYS = pytest.mark.parametrize("way", [it_offers, it_offers_and_we_wait, we_offer])


@asynccontextmanager
async def connected(endpoint: IceEndpoint, way: Way) -> AsyncIterator[tuple[WebRtcPeer, Stock]]:
    """A stock connection to a peer of ours, made the one way or the other."""
    stock, peer = Stock(), WebRtcPeer(endpoint, Identity.generate())
    try:
        await way(peer, stock)
        async with peer:
            await stock.open()
            yield peer, stock
    finally:
        await stock.connection.close()


async def received(channel: Channel, count: int) -> list[bytes | str]:
    return [await asyncio.wait_for(channel.receive(), 5) for _ in range(count)]


@WAYS
async def test_messages_both_ways(endpoint: IceEndpoint, way: Way) -> None:
    async with connected(endpoint, way) as (peer, stock):
        assert stock.connection.connectionState == "connected"
        assert peer.session.path is not None
        assert (peer.session.path.kind, peer.session.path.local.port) == ("direct", endpoint.port)
        channel = await peer.next_channel()
        assert (channel.label, channel.protocol) == ("first", "chat")
        for message in MESSAGES:
            stock.first.send(message)
        assert await received(channel, len(MESSAGES)) == MESSAGES
        for message in MESSAGES:
            await channel.send(message)
        await until(lambda: len(stock.messages) == len(MESSAGES))
        assert stock.messages == MESSAGES


@WAYS
async def test_many_channels_and_their_ends(endpoint: IceEndpoint, way: Way) -> None:
    async with connected(endpoint, way) as (peer, stock):
        theirs = [stock.connection.createDataChannel(f"theirs {n}", ordered=n % 2 == 0) for n in range(4)]
        ours = [await peer.link.open_channel(f"ours {n}", max_retransmits=n) for n in range(4)]
        arrived = {channel.label: channel for channel in [await peer.next_channel() for _ in range(5)]}
        assert [arrived[one.label].ordered for one in theirs] == [True, False, True, False]
        await until(lambda: len(stock.channels) == len(ours))
        assert [(one.label, one.maxRetransmits) for one in stock.channels] == [(f"ours {n}", n) for n in range(4)]
        for one in theirs:
            one.send(one.label)
            assert await received(arrived[one.label], 1) == [one.label]
        for channel in ours:
            await channel.send(channel.label)
        await until(lambda: sorted(map(str, stock.messages)) == [f"ours {n}" for n in range(4)])
        theirs[1].close()
        await until(lambda: arrived["theirs 1"].end_reason)
        with pytest.raises(ChannelClosed):
            await arrived["theirs 1"].receive()
        await ours[2].close()
        await until(lambda: stock.channels[2].readyState == "closed")
        theirs[0].send(b"still here")
        assert await received(arrived["theirs 0"], 1) == [b"still here"]


@WAYS
async def test_either_side_ends_it(endpoint: IceEndpoint, way: Way) -> None:
    async with connected(endpoint, way) as (peer, stock):
        await peer.link.close("enough")
        await until(lambda: stock.first.readyState == "closed")
    async with connected(endpoint, way) as (peer, stock):
        await stock.connection.close()
        assert await asyncio.wait_for(peer.link.wait_closed(), 5)


@WAYS
@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_fifty_times_without_a_stall(endpoint: IceEndpoint, way: Way) -> None:
    for _ in range(int(os.environ.get("INTEROP_RUNS", "50"))):
        await test_messages_both_ways(endpoint, way)
        await test_many_channels_and_their_ends(endpoint, way)
        await test_either_side_ends_it(endpoint, way)


async def test_many_at_once_through_one_port(endpoint: IceEndpoint) -> None:
    ways = (it_offers, it_offers_and_we_wait, we_offer) * 2
    async with AsyncExitStack() as stack:
        pairs = await asyncio.gather(*[stack.enter_async_context(connected(endpoint, way)) for way in ways])
        assert {peer.session.path.local.port for peer, _ in pairs if peer.session.path} == {endpoint.port}
        for number, (peer, stock) in enumerate(pairs):
            stock.first.send(f"I am {number}")
            assert await received(await peer.next_channel(), 1) == [f"I am {number}"]


async def test_it_refuses_another_certificate_than_the_one_announced(endpoint: IceEndpoint) -> None:
    stock, peer, other = Stock(), WebRtcPeer(endpoint, Identity.generate()), Identity.generate()
    offer = await stock.offer()
    await stock.take_answer(peer.describe("active").replace(peer.fingerprint, fingerprint(other.certificate)))
    connecting = asyncio.ensure_future(peer.connect(offer, offered=False, client=True))
    await until(lambda: stock.connection.connectionState == "failed")
    async with peer:
        peer.link.abort("it does not say that it refused us")
        with pytest.raises(LinkError):
            await connecting
    await stock.connection.close()
