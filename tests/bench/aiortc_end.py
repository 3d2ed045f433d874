"""An end that is aiortc as it comes: RTCPeerConnection and RTCDataChannel, by callbacks, as its users write it."""

from __future__ import annotations

import asyncio
import os
import re

import aioice.ice
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)

from tests.bench.end import ADDRESS, BLOCK, PATIENCE, SMALL, Sink, now, pieces

HIGH_MARK, LOW_MARK = 1024 * 1024, 256 * 1024
"""aiortc has no back-pressure of its own, so the sender keeps this much in its buffer."""

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [ADDRESS]
"""One address and no STUN server, as for ours: that only makes it quicker."""


class AiortcEnd:
    """One peer connection; the dialer offers, and opens a channel to measure by and one to echo."""

    def __init__(self) -> None:
        self._connection = RTCPeerConnection(configuration())
        self._connection.on("datachannel", serve)
        self._channels: dict[str, RTCDataChannel] = {}
        self._open = asyncio.Event()
        self._began = 0.0

    async def prepare(self) -> str:
        return ""

    async def dial(self, text: str) -> str:
        await self._connection.close()
        self._began = now()
        self._connection = RTCPeerConnection(configuration())
        self._channels = {label: self._connection.createDataChannel(label) for label in ("sink", "echo")}
        self._channels["echo"].on("open", self._open.set)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return str(self._connection.localDescription.sdp)

    async def respond(self, text: str) -> str:
        await self._connection.setRemoteDescription(RTCSessionDescription(text, "offer"))
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return str(self._connection.localDescription.sdp)

    async def finish(self, text: str) -> float:
        await self._connection.setRemoteDescription(RTCSessionDescription(text, "answer"))
        async with asyncio.timeout(PATIENCE):
            await self._open.wait()
            await self.echo("channel", 1)
        return now() - self._began

    async def reconnect(self) -> float:
        raise NotImplementedByAiortc("aiortc has no memory of a peer")

    async def throughput(self, kind: str, seconds: float, size: int = len(BLOCK)) -> tuple[float, float]:
        channel, low = self._channels["sink"], asyncio.Event()
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        channel.bufferedAmountLowThreshold = LOW_MARK
        channel.remove_all_listeners()
        channel.on("bufferedamountlow", low.set)
        channel.on("message", answer.set_result)
        began, messages = now(), pieces(size)
        while now() < began + seconds:
            channel.send(next(messages))
            if channel.bufferedAmount > HIGH_MARK:
                low.clear()
                await low.wait()
        channel.send("end")
        arrived = int(await asyncio.wait_for(answer, PATIENCE))
        return arrived / (now() - began) / 1e6, arrived / 1e6

    async def echo(self, kind: str, count: int) -> list[float]:
        took, channel, loop = [], self._channels["echo"], asyncio.get_running_loop()
        answer: asyncio.Future[bytes]
        channel.remove_all_listeners()
        channel.on("message", lambda message: answer.set_result(message))
        for _ in range(count):
            answer = loop.create_future()
            began = now()
            channel.send(SMALL)
            await answer
            took.append((now() - began) * 1e6)
        return took

    async def close(self) -> None:
        await self._connection.close()


def configuration() -> RTCConfiguration:
    """No servers, or a TURN server and nothing else, if whoever started us wants everything to go over it."""
    relay = re.fullmatch("turn:(.*?):(.*)@(.*)", os.environ.get("BENCH_TURN", ""))
    if relay is None:
        return RTCConfiguration(iceServers=[])
    user, password, place = relay.groups()
    server = RTCIceServer(urls=f"turn:{place}?transport=udp", username=user, credential=password)
    return RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy.RELAY)


class NotImplementedByAiortc(Exception):
    """aiortc has nothing like it."""


def serve(channel: RTCDataChannel) -> None:
    """Play the host on a channel that the dialer opened."""
    if channel.label == "echo":
        channel.on("message", channel.send)
        return
    sinks = [Sink()]

    def received(message: bytes | str) -> None:
        if isinstance(message, bytes):
            sinks[0].take(message)
        else:
            channel.send(str(sinks[0].bytes))
            sinks[0] = Sink()

    channel.on("message", received)
