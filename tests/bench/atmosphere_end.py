"""An end that is a node of ours, by the public API alone."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atmosphere.channels.channel import Channel
from atmosphere.channels.stream import Stream
from atmosphere.mesh.node import Node
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.store import init_home
from tests.bench.end import ADDRESS, BLOCK, PATIENCE, SMALL, Sink, now, pieces


class AtmosphereEnd:
    """A node on loopback in a home of its own; as a host it takes any number of dialers, one after another."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="atmosphere-bench-", ignore_cleanup_errors=True)
        self._home = Path(self._folder.name)
        self._node: Node | None = None
        self._peer: Peer
        self._took = 0.0

    def _make(self) -> Node:
        relayed: dict[str, Any] = {}
        if "BENCH_TURN" in os.environ:  # whoever started us wants everything to go over that server
            relayed = {"path_policy": "relay"}
            relayed |= {"turn": [os.environ["BENCH_TURN"]], "signaling": [os.environ["BENCH_SIGNALING"]]}
        node = Node(self._home, host=ADDRESS, port=0, stun=(), port_mapping=False, **relayed)
        node.on_stream("echo", echo_stream)
        node.on_stream("sink", sink_stream)
        node.on_channel("echo", echo_channel)
        node.on_channel("sink", sink_channel)
        return node

    async def prepare(self) -> str:
        if self._node is None:
            init_home(self._home, "bench", "host")
            self._node = self._make()
            await self._node.start()
        return str(await self._node.invite())

    async def dial(self, text: str) -> str:
        began = now()
        self._node = self._make()
        await self._node.start()
        self._peer = await self._node.join(text, name=self._home.name)
        await self._first_byte()
        self._took = now() - began
        return ""

    async def respond(self, text: str) -> str:
        return text

    async def finish(self, text: str) -> float:
        return self._took

    async def reconnect(self) -> float:
        if self._node is None:
            raise RuntimeError("dial first")
        await self._node.stop()
        began = now()
        self._node = self._make()
        await self._node.start()
        self._peer = self._node.peer(self._peer.id)
        await self._peer.wait_connected(PATIENCE)
        await self._first_byte()
        return now() - began

    async def _first_byte(self) -> None:
        async with asyncio.timeout(PATIENCE), await self._peer.open_stream("echo") as stream:
            stream.write(b"x")
            await stream.readexactly(1)
            await stream.write_eof()

    async def throughput(self, kind: str, seconds: float, size: int = len(BLOCK)) -> tuple[float, float]:
        send = self._send_stream if kind == "stream" else self._send_channel
        began = now()
        arrived = await send(began + seconds, pieces(size))
        return arrived / (now() - began) / 1e6, arrived / 1e6

    async def _send_stream(self, until: float, messages: Iterator[bytes]) -> int:
        async with await self._peer.open_stream("sink") as stream:
            while now() < until:
                stream.write(next(messages))
                await stream.drain()
            await stream.write_eof()
            return int.from_bytes(await stream.read())

    async def _send_channel(self, until: float, messages: Iterator[bytes]) -> int:
        channel = await self._peer.open_channel("sink")
        while now() < until:
            await channel.send(next(messages))
        await channel.send("end")
        count = int(await channel.receive())
        await channel.close()
        return count

    async def echo(self, kind: str, count: int) -> list[float]:
        return await (self._echo_stream(count) if kind == "stream" else self._echo_channel(count))

    async def _echo_stream(self, count: int) -> list[float]:
        took = []
        async with await self._peer.open_stream("echo") as stream:
            for _ in range(count):
                began = now()
                stream.write(SMALL)
                await stream.readexactly(len(SMALL))
                took.append((now() - began) * 1e6)
        return took

    async def _echo_channel(self, count: int) -> list[float]:
        took = []
        channel = await self._peer.open_channel("echo")
        for _ in range(count):
            began = now()
            await channel.send(SMALL)
            await channel.receive()
            took.append((now() - began) * 1e6)
        await channel.close()
        return took

    async def close(self) -> None:
        if self._node is not None:
            await self._node.stop()
        self._folder.cleanup()


async def echo_stream(stream: Stream) -> None:
    while data := await stream.read(len(BLOCK)):
        stream.write(data)
        await stream.drain()
    await stream.write_eof()


async def sink_stream(stream: Stream) -> None:
    sink = Sink()
    while data := await stream.read(len(BLOCK)):
        sink.take(data)
    stream.write(sink.bytes.to_bytes(8))
    await stream.write_eof()


async def echo_channel(channel: Channel) -> None:
    async for message in channel:
        await channel.send(message)


async def sink_channel(channel: Channel) -> None:
    sink = Sink()
    async for message in channel:
        if isinstance(message, bytes):
            sink.take(message)
        else:
            await channel.send(str(sink.bytes))
