"""Our link against aiortc's own DTLS, SCTP and data channels, in both roles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCCertificate, RTCDataChannel, RTCDtlsTransport, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, certificate_digest

from atmosphere.channels.channel import MAX_PLAIN_MESSAGES, Channel
from atmosphere.channels.link import Link
from atmosphere.errors import ChannelClosed
from tests.channels.pipe import ALICE, End, path, within


class StockIce:
    """What aiortc's DTLS needs of its ICE transport, on a path in memory."""

    role = "controlled"

    def __init__(self, end: End) -> None:
        self._end = end
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        end.on_datagram = self._queue.put_nowait

    async def _recv(self) -> bytes:
        return await self._queue.get()

    async def _send(self, data: bytes) -> None:
        self._end.send(data)


class Stock:
    """An aiortc peer and what it received."""

    def __init__(self, end: End, *, client: bool) -> None:
        self.dtls = RTCDtlsTransport(StockIce(end), [RTCCertificate.generateCertificate()])  # type: ignore[arg-type]
        self.dtls._set_role("client" if client else "server")
        self.sctp = RTCSctpTransport(self.dtls)
        self.channels: list[RTCDataChannel] = []
        self.messages: list[bytes | str] = []
        self.sctp.on("datachannel", self._opened)

    def _opened(self, channel: RTCDataChannel) -> None:
        self.channels.append(channel)
        self.listen(channel)

    def listen(self, channel: RTCDataChannel) -> RTCDataChannel:
        channel.on("message", self.messages.append)
        return channel

    def open(self, **parameters: object) -> RTCDataChannel:
        return self.listen(RTCDataChannel(self.sctp, RTCDataChannelParameters(**parameters)))  # type: ignore[arg-type]

    async def start(self) -> None:
        fingerprint = RTCDtlsFingerprint("sha-256", certificate_digest(ALICE.certificate, "sha-256"))
        await self.dtls.start(RTCDtlsParameters([fingerprint]))
        assert self.dtls.state == "connected"
        await self.sctp.start(RTCSctpTransport.getCapabilities(), 5000)

    async def stop(self) -> None:
        await self.sctp.stop()
        task = self.dtls._task
        await self.dtls.stop()
        if task is not None:
            await asyncio.wait([task])


@asynccontextmanager
async def ours_and_stock(*, client: bool) -> AsyncIterator[tuple[Link, Stock]]:
    """Our plain link (DTLS client or server) and an aiortc peer, connected."""
    one, other = path()
    stock = Stock(other, client=not client)
    link = Link(one, ALICE, client=client, plain=True)
    await asyncio.gather(link.start(), stock.start())
    try:
        yield link, stock
    finally:
        await stock.stop()
        link.abort("the test is over")


@pytest.mark.parametrize("client", [True, False])
async def test_channels_of_ours(client: bool) -> None:
    async with ours_and_stock(client=client) as (link, stock):
        channel = await link.open_channel("ours", protocol="p", ordered=False, max_retransmits=3)
        await within(lambda: stock.channels)
        peer = stock.channels[0]
        assert (peer.label, peer.protocol, peer.ordered, peer.maxRetransmits) == ("ours", "p", False, 3)
        reliable = await link.open_channel("reliable")
        await within(lambda: len(stock.channels) == 2)
        sent: list[bytes | str] = ["", b"", "ü", b"\0", b"x" * 200_000]
        for message in sent:
            await reliable.send(message)
        await within(lambda: len(stock.messages) == len(sent))
        assert stock.messages == sent
        stock.channels[1].send("answer")
        assert await asyncio.wait_for(reliable.receive(), 5) == "answer"
        await channel.close()
        await within(lambda: peer.readyState == "closed" and channel.end_reason)


@pytest.mark.parametrize("client", [True, False])
async def test_channels_of_theirs(client: bool) -> None:
    async with ours_and_stock(client=client) as (link, stock):
        arrived: asyncio.Queue[Channel] = asyncio.Queue()
        link.on_channel = arrived.put_nowait
        peer = stock.open(label="theirs", protocol="q", maxPacketLifeTime=5000)
        await within(lambda: peer.readyState == "open")
        channel = await asyncio.wait_for(arrived.get(), 5)
        assert (channel.label, channel.protocol, channel.max_lifetime_ms) == ("theirs", "q", 5000)
        for message in ("one", b"two", b"y" * 100_000):
            peer.send(message)
        assert [await asyncio.wait_for(channel.receive(), 5) for _ in range(3)] == ["one", b"two", b"y" * 100_000]
        await channel.send("back")
        await within(lambda: stock.messages == ["back"])
        peer.close()
        await within(lambda: channel.end_reason)
        with pytest.raises(ChannelClosed):
            await channel.receive()


async def test_negotiated_channels() -> None:
    async with ours_and_stock(client=True) as (link, stock):
        theirs = stock.open(label="n", negotiated=True, id=0)
        ours = await link.open_channel("n", negotiated_id=0)
        await ours.send("over")
        await within(lambda: stock.messages == ["over"])
        theirs.send("back")
        assert await asyncio.wait_for(ours.receive(), 5) == "back"


async def test_a_stock_peer_that_floods_loses_its_channel_only() -> None:
    async with ours_and_stock(client=True) as (link, stock):
        arrived: asyncio.Queue[Channel] = asyncio.Queue()
        link.on_channel = arrived.put_nowait
        flood, fine = stock.open(label="flood"), stock.open(label="fine")
        await within(lambda: fine.readyState == "open")
        for _ in range(MAX_PLAIN_MESSAGES + 1):
            flood.send(b"x")
        await within(lambda: flood.readyState == "closed")
        channels = {channel.label: channel for channel in [await arrived.get(), await arrived.get()]}
        with pytest.raises(ChannelClosed, match="too many"):
            while True:
                await channels["flood"].receive()
        fine.send("fine")
        assert await asyncio.wait_for(channels["fine"].receive(), 5) == "fine"


@pytest.mark.parametrize("client", [True, False])
async def test_the_end_is_seen_both_ways(client: bool) -> None:
    async with ours_and_stock(client=client) as (link, stock):
        peer = stock.open(label="c")
        await within(lambda: peer.readyState == "open")
        await link.close("bye")
        await within(lambda: peer.readyState == "closed" and stock.dtls.state == "closed")
    async with ours_and_stock(client=client) as (link, stock):
        await stock.stop()
        assert await asyncio.wait_for(link.wait_closed(), 5) == "aborted by the peer"
