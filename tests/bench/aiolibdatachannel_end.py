"""A worker (see worker.py) whose ends are libdatachannel, by its binding for asyncio.

It has an interpreter of its own (tools/bench-deps.sh), for the binding wants Python 3.12: nothing of ours is imported.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from aiolibdatachannel import DataChannel, PeerConnection, RTCConfiguration

HIGH = 4 << 20
SMALL = bytes(100)
BLOCK = hashlib.shake_256(b"block").digest(65536)


class End:
    """One peer connection, with a channel for bulk and one for echoes."""

    def __init__(self) -> None:
        self._connection = PeerConnection(RTCConfiguration(max_message_size=1_048_576))
        self._channels: dict[str, DataChannel] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = 0.0

    async def prepare(self) -> str:
        """What the dialer needs: nothing."""
        self._start(self._accept())
        return ""

    async def dial(self, _needed: str) -> str:
        self._began = time.perf_counter()
        for label in ("sink", "echo"):
            self._channels[label] = await self._connection.create_data_channel(label)
        return str((await self._connection.create_offer()).sdp)

    async def respond(self, offer: str) -> str:
        await self._connection.set_remote_description(offer, "offer")
        return str((await self._connection.create_answer()).sdp)

    async def finish(self, answer: str) -> float:
        await self._connection.set_remote_description(answer, "answer")
        for channel in self._channels.values():
            await channel.wait_open()
        await self.echo("channel", 1)
        return time.perf_counter() - self._began

    async def throughput(self, _kind: str, seconds: float, size: int = len(BLOCK)) -> tuple[float, float]:
        channel = self._channels["sink"]
        message = BLOCK[:size] if size <= len(BLOCK) else BLOCK * (size // len(BLOCK))
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            await channel.send(message, wait_for_drain=False)
            while channel.buffered_amount > HIGH:  # noqa: ASYNC110 (nor is its event for this to be relied on)
                await asyncio.sleep(0.0005)
        await channel.send("end", wait_for_drain=False)
        arrived = int(await channel.recv())
        return arrived / (time.perf_counter() - began) / 1e6, arrived / 1e6

    async def echo(self, _kind: str, count: int) -> list[float]:
        channel, took = self._channels["echo"], []
        for _ in range(count):
            began = time.perf_counter()
            await channel.send(SMALL, wait_for_drain=False)
            await channel.recv()
            took.append((time.perf_counter() - began) * 1e6)
        return took

    async def close(self) -> None:
        await self._connection.aclose()

    async def _accept(self) -> None:
        async for channel in self._connection.incoming_data_channels():
            self._start(self._serve(channel))

    async def _serve(self, channel: DataChannel) -> None:
        arrived = 0
        async for message in channel:
            if channel.label == "echo":
                await channel.send(message, wait_for_drain=False)
            elif isinstance(message, str):
                await channel.send(str(arrived), wait_for_drain=False)
                arrived = 0
            else:
                if message[0] != BLOCK[0]:
                    raise AssertionError("what arrived is not what was sent")
                arrived += len(message)

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def about(call: str) -> float:
    """What this process says of itself."""
    if call == "cpu":
        return time.process_time()
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def main() -> None:
    """Answer what is asked on stdin."""
    loop, lines, ends = asyncio.get_running_loop(), asyncio.StreamReader(limit=1 << 24), dict[str, End]()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        asked = json.loads(line)
        try:
            if asked["end"]:
                if asked["end"] not in ends:
                    ends[asked["end"]] = End()
                result = await getattr(ends[asked["end"]], asked["call"])(*asked["with"])
            else:
                result = about(asked["call"])
            answer = {"result": result}
        except Exception as error:  # noqa: BLE001 (whoever asked shall hear what went wrong)
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)
    os._exit(0)  # the binding's threads may still be at work


asyncio.run(main())
