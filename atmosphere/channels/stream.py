"""A stream: ordered bytes both ways over one channel, shaped like asyncio's reader and writer.

Each direction ends on its own (`write_eof`); a reader that stops reading stops its writer and nobody else, because
every channel has credit of its own. `reset` gives up both directions. No task runs for a stream: it moves when the
application calls and when its channel says that something changed.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from atmosphere.channels import wire
from atmosphere.channels.channel import Carrier, Channel
from atmosphere.errors import LinkError, StreamReset
from atmosphere.light import Event

CHUNK = 64 * 1024
"""Bytes in one message of a stream, at most."""
HIGH_MARK = 256 * 1024
"""`drain` waits while more than this is not yet handed over."""
MAX_UNDRAINED = 16 * 1024 * 1024
LINE_LIMIT = 64 * 1024


class Stream:
    """Ordered bytes to and from a peer; made by `Link.open_stream` or given to `Link.on_stream`.

    As an async context manager it is closed at the end, or reset if the body raised. `async for` gives lines.
    """

    def __init__(self, carrier: Carrier, channel: Channel) -> None:
        self._carrier = carrier
        self._channel = channel
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._changed = Event()
        self._end_received = False
        self._end_wanted = False
        self._end_sent = False
        self._closed = False
        self._pumping = False
        self._write_error: LinkError | None = None
        self._read_error: LinkError | None = None
        self.peer: Any = None
        """Whose stream it is, as the owner of the link sees it."""
        channel.watch(self._on_change)

    def __repr__(self) -> str:
        return f"Stream({self.name!r}, id={self._channel.id}, {'closed' if self.closed else 'open'})"

    @property
    def name(self) -> str:
        """The name that the opener gave it; the peer's end has the same."""
        return self._channel.label

    @property
    def id(self) -> int:
        """The SCTP stream id of its channel."""
        return self._channel.id

    @property
    def reader(self) -> Stream:
        """The reading face: read, readexactly, readuntil, readline, at_eof."""
        return self

    @property
    def writer(self) -> Stream:
        """The writing face: write, writelines, drain, write_eof, close."""
        return self

    @property
    def closed(self) -> bool:
        """Whether it was closed or reset here, or has ended."""
        return self._closed or self._channel.closed

    @property
    def pending(self) -> bool:
        """Whether something written here was not yet handed over."""
        return bool(self._outgoing) or (self._end_wanted and not self._end_sent and self._write_error is None)

    # -- reading

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes as soon as there are any; all until the end if `n` is negative; b"" at the end.

        StreamReset if the peer gave the stream up, LinkError if the link ended; both after what had arrived.
        """
        if n == 0:
            return b""
        while (n < 0 or not self._incoming) and await self._more():
            pass
        return self._cut(len(self._incoming) if n < 0 else n)

    async def readexactly(self, n: int) -> bytes:
        """Exactly `n` bytes; asyncio.IncompleteReadError with what there was if the stream ends before."""
        while len(self._incoming) < n:
            if not await self._more():
                raise asyncio.IncompleteReadError(self._cut(n), n)
        return self._cut(n)

    async def readuntil(self, separator: bytes = b"\n", limit: int = LINE_LIMIT) -> bytes:
        """Everything up to and with `separator`.

        asyncio.IncompleteReadError if the stream ends before it, asyncio.LimitOverrunError if it is not within `limit`.
        """
        searched = 0
        while (found := self._incoming.find(separator, searched)) < 0:
            searched = max(0, len(self._incoming) + 1 - len(separator))
            if searched > limit:
                raise asyncio.LimitOverrunError("the separator is not within the limit", searched)
            if not await self._more():
                raise asyncio.IncompleteReadError(self._cut(len(self._incoming)), None)
        if found > limit:
            raise asyncio.LimitOverrunError("the separator is not within the limit", found)
        return self._cut(found + len(separator))

    async def readline(self) -> bytes:
        """One line with its end; what is left without one at the end of the stream; ValueError if it is too long."""
        try:
            return await self.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except asyncio.LimitOverrunError as error:
            raise ValueError(f"a line of more than {LINE_LIMIT} bytes") from error

    def at_eof(self) -> bool:
        """Whether the peer's end was reached and everything before it read."""
        return self._end_received and not self._incoming

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    # -- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes for the peer; call `drain` now and then.

        StreamReset or LinkError if nobody will read them, BufferError if far too much is written without `drain`.
        """
        if self._write_error is not None:
            raise self._write_error
        if self._end_wanted:
            raise StreamReset(f"stream {self.name!r} was ended here; nothing can be written after that")
        if len(self._outgoing) > MAX_UNDRAINED:
            raise BufferError(f"more than {MAX_UNDRAINED} bytes were written without drain()")
        self._outgoing += data
        self._pump()

    def writelines(self, lines: list[bytes]) -> None:
        """Queue several pieces."""
        self.write(b"".join(lines))

    async def drain(self) -> None:
        """Wait until there is room to write more; raises what ended the stream."""
        while self._write_error is None and len(self._outgoing) > HIGH_MARK:
            await self._changed.wait()
        if self._write_error is not None:
            raise self._write_error

    async def write_eof(self) -> None:
        """End our direction after what was written; reading goes on."""
        self._end_wanted = True
        self._pump()

    async def close(self) -> None:
        """End both directions: everything written is handed over first, what was not read is dropped."""
        if not self._closed:
            self._closed = True
            self._incoming.clear()
            self._end_wanted = True
            self._on_change()
            if not self._end_received and not self._channel.closed:
                self._carrier.send_control(wire.Stop(self.id))
        while not self._end_sent and self._write_error is None:
            await self._changed.wait()

    def reset(self, reason: str = "") -> None:
        """Give the stream up at once in both directions; what is not yet sent is lost."""
        if not self._channel.closed:
            self._carrier.send_control(wire.Reset(self.id, reason))
        self._fail(StreamReset(f"stream {self.name!r} was reset here" + (f": {reason}" if reason else "")))
        self._closed = True
        self._channel.shut(discard=True)

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.reset(kind.__name__)

    # -- what the link tells

    def peer_reset(self, reason: str) -> None:
        """The peer gave the stream up."""
        self._fail(StreamReset(f"the peer reset stream {self.name!r}" + (f": {reason}" if reason else "")))
        self._channel.shut(discard=True)

    def peer_stopped(self) -> None:
        """The peer reads no more, so our direction ends here."""
        if not self._end_sent:
            self._write_error = StreamReset(f"the peer reads no more of stream {self.name!r}")
            self._outgoing.clear()
            self._end_wanted = True
            self._on_change()

    # -- inside

    async def _more(self) -> bool:
        """Take one more message into `_incoming`; False at the end of the peer's direction."""
        while not self._end_received:
            if self._closed:
                raise self._read_error or StreamReset(f"stream {self.name!r} was closed here")
            if self._take():
                return True
            if self._read_error is not None:
                raise self._read_error
            await self._changed.wait()
        return False

    def _take(self) -> bool:
        """Take one message from the channel, if there is one, and do what it says."""
        message = self._channel.take()
        if message is None:
            return False
        if isinstance(message, bytes) and message[:1] == wire.DATA:
            self._incoming += memoryview(message)[1:]
        elif message == wire.FIN:
            self._end_received = True
            self._finish_if_done()
        else:
            self.reset("not a message of a stream")
        return True

    def _cut(self, n: int) -> bytes:
        taken = bytes(memoryview(self._incoming)[:n])
        del self._incoming[:n]
        return taken

    def _on_change(self) -> None:
        """The channel changed: write on, notice its end, and drop what nobody will read."""
        while self._closed and not self._end_received and self._discard_one():
            pass
        if self._channel.end_reason is not None:
            self._ended()
        else:
            self._pump()
        self._wake()

    def _discard_one(self) -> bool:
        message = self._channel.take()
        if message == wire.FIN:
            self._end_received = True
            self._finish_if_done()
        return message is not None

    def _pump(self) -> None:
        """Hand over as much as the channel takes."""
        if self._pumping or self._channel.closed:
            return
        self._pumping = True
        try:
            while self._outgoing and self._channel.try_send(wire.DATA + self._outgoing[:CHUNK]):
                del self._outgoing[:CHUNK]
            if self._end_wanted and not self._outgoing and not self._end_sent and self._channel.try_send(wire.FIN):
                self._end_sent = True
        finally:
            self._pumping = False
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._end_sent and self._end_received and not self._channel.closed:
            self._channel.shut()

    def _ended(self) -> None:
        """The channel ended: whatever was still to be sent or to come is lost."""
        error: LinkError = StreamReset(f"stream {self.name!r} was ended by the peer")
        if self._channel.link_ended:
            error = LinkError(f"the link ended under stream {self.name!r}: {self._channel.end_reason}")
        self._fail(error, reading=not self._end_received, writing=not self._end_sent)

    def _fail(self, error: LinkError, *, reading: bool = True, writing: bool = True) -> None:
        if reading:
            self._read_error = self._read_error or error
        if writing:
            self._write_error = self._write_error or error
        self._outgoing.clear()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed.clear()
