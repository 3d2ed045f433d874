"""What can happen to a link's path, done to real nodes: nothing gets through, or a session ends."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from atmosphere.channels.stream import Stream
from atmosphere.ice.base import Base
from atmosphere.mesh.node import Node
from atmosphere.mesh.peerlink import PeerLink

PIECE = 64 * 1024


@contextmanager
def silence(*nodes: Node) -> Iterator[None]:
    """Whatever is sent to these nodes gets lost."""
    muxes = [node._parts.listeners.endpoint.mux for node in nodes]
    before = [(mux.receive, mux.receive_burst) for mux in muxes]
    for mux in muxes:
        mux.receive = lambda *_: False  # type: ignore[method-assign]
        mux.receive_burst = lambda *_: False  # type: ignore[method-assign]
    try:
        yield
    finally:
        for mux, (receive, receive_burst) in zip(muxes, before, strict=True):
            mux.receive, mux.receive_burst = receive, receive_burst  # type: ignore[method-assign]


@contextmanager
def deaf_to_data(node: Node, link: PeerLink) -> Iterator[None]:
    """Checks go on over the pair of addresses in use, but what else comes to `node` over it gets lost."""
    mux, pair = node._parts.listeners.endpoint.mux, link.session.selected
    assert pair is not None
    receive, deaf = mux.receive_burst, pair.key

    def lossy(base: Base, data: bytes, segment: int, source: tuple[str, int]) -> bool:
        return bool((data[0] < 4 or (base.id, source) != deaf) and receive(base, data, segment, source))

    mux.receive_burst = lossy  # type: ignore[method-assign]
    try:
        yield
    finally:
        mux.receive_burst = receive  # type: ignore[method-assign]


def link_of(node: Node, peer: str) -> PeerLink:
    """The link that must be there."""
    link = node.peer(peer).link
    assert link is not None
    return link


def kill(link: PeerLink) -> None:
    """The link's session ends as after 30 s without consent: nobody is told."""
    link.session.fail("killed by the test")


class Transfer:
    """Bytes on their way over one stream, from one node to another's handler, compared at the end."""

    def __init__(self, to: Node, size: int) -> None:
        self.data = os.urandom(size)
        self.received = 0
        self.longest_silence = 0.0
        self._hash = hashlib.sha256()
        self._passed = asyncio.Event()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._over.add_done_callback(lambda over: over.cancelled() or over.exception())
        to.on_stream("transfer", self._take)

    async def _take(self, stream: Stream) -> None:
        last = time.monotonic()
        try:
            while piece := await stream.read(PIECE):
                now = time.monotonic()
                self.longest_silence, last = max(self.longest_silence, now - last), now
                self._hash.update(piece)
                self.received += len(piece)
                self._passed.set()
        except Exception as error:
            if not self._over.done():
                self._over.set_exception(error)
            raise
        self._over.set_result(None)

    async def send(self, stream: Stream) -> None:
        """Write everything; a test runs this beside what it does to the path."""
        for start in range(0, len(self.data), PIECE):
            stream.write(self.data[start : start + PIECE])
            await stream.drain()
        await stream.write_eof()

    async def reached(self, count: int) -> None:
        """Wait until so many bytes have come."""
        while self.received < count:
            self._passed.clear()
            await self._passed.wait()

    async def finished(self, timeout: float = 30.0) -> bool:
        """Wait for the end; whether each byte came once and in order."""
        async with asyncio.timeout(timeout):
            await self._over
        return self.received == len(self.data) and self._hash.digest() == hashlib.sha256(self.data).digest()
