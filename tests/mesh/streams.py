"""Two ends of a stream in memory, with little room, for the tests of this package."""

from __future__ import annotations

import asyncio

from atmosphere.errors import LinkError, StreamReset

ROOM = 64 * 1024


class Pipe:
    """One direction."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.failure: LinkError | None = None
        self.passed = 0
        self.limit: int | None = None
        self.changed = asyncio.Event()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self.changed.set()
        self.changed.clear()


class Stream:
    """One end; `cut_after` breaks the link once so many bytes were written here."""

    def __init__(self, incoming: Pipe, outgoing: Pipe) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self.reset_reason: str | None = None
        self.closed = False

    def cut_after(self, count: int) -> None:
        """Break the link, in both directions, after so many bytes from here."""
        self.outgoing.limit = count

    async def read(self, n: int = -1) -> bytes:
        """Up to n bytes."""
        while not self.incoming.data and not self.incoming.ended:
            await self._wait(self.incoming)
        return self._cut(n)

    async def readexactly(self, n: int) -> bytes:
        """Exactly n bytes."""
        taken = b""
        while len(taken) < n:
            piece = await self.read(n - len(taken))
            if not piece:
                raise asyncio.IncompleteReadError(taken, n)
            taken += piece
        return taken

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        if self.outgoing.failure:
            raise self.outgoing.failure
        self.outgoing.data += data
        self.outgoing.passed += len(data)
        if self.outgoing.limit is not None and self.outgoing.passed > self.outgoing.limit:
            self._fail(LinkError("the link broke"))
        self.outgoing.wake()

    async def drain(self) -> None:
        """Wait for room."""
        while len(self.outgoing.data) > ROOM:
            await self._wait(self.outgoing)
        if self.outgoing.failure:
            raise self.outgoing.failure

    async def write_eof(self) -> None:
        """End our direction."""
        self.outgoing.ended = True
        self.outgoing.wake()

    async def close(self) -> None:
        """End both directions."""
        self.closed = True
        await self.write_eof()

    def reset(self, reason: str = "") -> None:
        """Give up."""
        self.reset_reason = reason
        self._fail(StreamReset(f"reset: {reason}"))

    def _fail(self, error: LinkError) -> None:
        for pipe in (self.incoming, self.outgoing):
            pipe.failure = pipe.failure or error
            pipe.data.clear()
            pipe.wake()

    async def _wait(self, pipe: Pipe) -> None:
        if pipe.failure:
            raise pipe.failure
        await pipe.changed.wait()
        if pipe.failure:
            raise pipe.failure

    def _cut(self, n: int) -> bytes:
        n = len(self.incoming.data) if n < 0 else n
        taken = bytes(self.incoming.data[:n])
        del self.incoming.data[:n]
        self.incoming.wake()
        return taken


def pair() -> tuple[Stream, Stream]:
    """Two ends that are connected."""
    one, two = Pipe(), Pipe()
    return Stream(one, two), Stream(two, one)
