"""One end of a long flow, in a process of its own: `python -m tests.e2e.flow HOME`.

Commands come as lines on stdin, each answered by one line of JSON on stdout.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atmosphere.channels.stream import Stream
from atmosphere.errors import LinkError
from atmosphere.mesh.node import Node
from atmosphere.mesh.store import init_home
from atmosphere.tasks import Tasks

BLOCK = 64 * 1024
ECHO = bytes(range(256)) * 1024
PATIENCE = 30.0


def blocks(size: int) -> Iterator[bytes]:
    """`size` bytes of which no two blocks are alike."""
    for start in range(0, size, BLOCK):
        seed = start.to_bytes(8, "big")
        yield (hashlib.sha256(seed).digest() + seed * 3) * (BLOCK // 56 + 1)


def content(size: int) -> Iterator[bytes]:
    """The same, each block cut to its length."""
    for number, block in enumerate(blocks(size)):
        yield block[: min(BLOCK, size - number * BLOCK)]


class End:
    """A node, and what it is told to do with its streams."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.tasks = Tasks("flow")
        self.written = 0
        self.bulk: asyncio.Queue[Stream] = asyncio.Queue()
        self.reading: Stream | None = None
        node.on_stream("bulk", self._hold)
        node.on_stream("echo", _echo)

    async def _hold(self, stream: Stream) -> None:
        """The reader that sleeps: whoever wants the stream takes it out of the queue."""
        self.bulk.put_nowait(stream)
        await asyncio.Event().wait()

    async def invite(self) -> dict[str, Any]:
        return {"code": str(await self.node.invite())}

    async def join(self, code: str) -> dict[str, Any]:
        return {"peer": (await self.node.join(code, timeout=PATIENCE)).name}

    async def write(self, size: str) -> dict[str, Any]:
        """Begin to write so many bytes to the peer."""
        stream = await self.node.peers()[0].open_stream("bulk")
        self.tasks.spawn(self._write(stream, int(size)), "write")
        return {}

    async def _write(self, stream: Stream, size: int) -> None:
        with contextlib.suppress(LinkError):  # the test may end before the flow does
            for block in content(size):
                stream.write(block)
                await stream.drain()
                self.written += len(block)
            await stream.write_eof()

    async def progress(self) -> dict[str, Any]:
        return {"written": self.written}

    async def read(self, size: str) -> dict[str, Any]:
        """Wake, read so many bytes, and sleep again."""
        if self.reading is None:
            self.reading = await self.bulk.get()
        digest, got, began = hashlib.sha256(), 0, time.perf_counter()
        while got < int(size) and (data := await self.reading.read(min(BLOCK, int(size) - got))):
            digest.update(data)
            got += len(data)
        return {"bytes": got, "sha256": digest.hexdigest(), "seconds": time.perf_counter() - began}

    async def end(self) -> dict[str, Any]:
        """What is left to read; nothing when all of it was read."""
        assert self.reading is not None
        return {"left": len(await self.reading.read())}

    async def echo(self) -> dict[str, Any]:
        """256 KiB there and back on a stream of their own."""
        began = time.perf_counter()
        stream = await self.node.peers()[0].open_stream("echo")
        stream.write(ECHO)
        await stream.write_eof()
        assert await stream.read() == ECHO
        await stream.close()
        return {"seconds": time.perf_counter() - began}


async def _echo(stream: Stream) -> None:
    while data := await stream.read(BLOCK):
        stream.write(data)
        await stream.drain()
    await stream.write_eof()


async def _commands() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def main(home: Path) -> None:
    """Serve commands until stdin ends."""
    if home.name == "reader":
        init_home(home, "home", "reader")
    commands = await _commands()
    async with Node(home, host="127.0.0.1", port=0, stun=(), name=home.name) as node:
        end = End(node)
        while words := (await commands.readline()).decode().split():
            print(json.dumps(await getattr(end, words[0])(*words[1:])), flush=True)
        await end.tasks.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
