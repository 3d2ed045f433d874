"""A data channel as an application sees it: messages in and out, with back-pressure from the reader to the writer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from atmosphere.channels import wire
from atmosphere.channels.credit import ReceiveCredit, SendCredit, WindowBudget
from atmosphere.errors import ChannelClosed
from atmosphere.light import Event
from atmosphere.sctp.interface import ChannelOptions

MAX_UNRELIABLE_MESSAGES, MAX_UNRELIABLE_BYTES = 1024, 256 * 1024
"""What a channel that may lose messages keeps for its reader; the newest beyond that are lost."""
MAX_PLAIN_MESSAGES, MAX_PLAIN_BYTES = 1024, 16 * 1024 * 1024
"""What a reliable channel of a peer without credit (any other WebRTC stack) keeps before it is closed with an error."""
MAX_HELD_BYTES = 64 * 1024 * 1024
"""What all channels of a link without credit keep together."""


class Carrier(Protocol):
    """What a channel needs of its link."""

    held: int
    """Bytes that the link's channels without credit keep for their readers."""
    max_message: int
    """Bytes in the largest message that the peer takes."""

    def send_message(self, handle: int, data: bytes | str) -> None:
        """Queue one message."""
        ...

    def has_room(self, handle: int) -> bool:
        """Whether the channel's queue is short enough for one more message."""
        ...

    def send_control(self, message: wire.Control) -> None:
        """Tell the peer's end of the link something."""
        ...

    def close_channel(self, handle: int, *, discard: bool) -> None:
        """Close a channel, with or without sending what is queued."""
        ...

    def abort(self, reason: str) -> None:
        """End the link because the peer broke its rules."""
        ...


def _nothing() -> None:
    """Nobody watches."""


class Channel:
    """Messages to and from a peer; made by `Link.open_channel` or given to `Link.on_channel`.

    `async for message in channel` ends when the channel does.
    """

    def __init__(
        self,
        carrier: Carrier,
        handle: int,
        options: ChannelOptions,
        *,
        credited: bool,
        budget: WindowBudget | None = None,
    ) -> None:
        self._carrier = carrier
        self._options = options
        self._inbox: deque[tuple[bytes | str, int]] = deque()
        self._inbox_bytes = 0
        self._credited = credited and options.reliable
        self._send_credit = SendCredit()
        self._receive_credit = ReceiveCredit(budget)
        self._blocked = False
        self._changed = Event()
        self._sending = asyncio.Lock()
        self._closing = False
        self._watcher: Callable[[], None] = _nothing
        self.id = handle
        """The SCTP stream id."""
        self.end_reason: str | None = None
        self.peer: Any = None
        """Whose channel it is, as the owner of the link sees it."""
        """Why the channel ended; None while it has not."""
        self.link_ended = False
        """Whether it ended because its link did."""
        self.dropped = 0
        """Messages of a channel that may lose some, lost because nobody read."""

    def __repr__(self) -> str:
        return f"Channel({self.label!r}, id={self.id}, {'closed' if self.closed else 'open'})"

    @property
    def label(self) -> str:
        """The name that the opener gave it; not unique."""
        return self._options.label

    @property
    def protocol(self) -> str:
        """The subprotocol that the opener named."""
        return self._options.protocol

    @property
    def ordered(self) -> bool:
        """Whether messages arrive in the order they were sent."""
        return self._options.ordered

    @property
    def max_retransmits(self) -> int | None:
        """How often a lost message is sent again; None for no such limit."""
        return self._options.max_retransmits

    @property
    def max_lifetime_ms(self) -> int | None:
        """For how many milliseconds a lost message is sent again; None for no such limit."""
        return self._options.max_lifetime_ms

    @property
    def max_message(self) -> int:
        """Bytes in the largest message that may be sent: what the peer takes, 1 MiB between our own nodes."""
        return self._carrier.max_message

    @property
    def closed(self) -> bool:
        """Whether no more can be sent."""
        return self._closing or self.end_reason is not None

    async def send(self, data: bytes | str) -> None:
        """Send one message, waiting while too much is on its way; at most `max_message` bytes.

        ChannelClosed if the channel has ended, or the message is too large.
        """
        size = _size(data)
        if size > self.max_message:
            raise ChannelClosed(
                f"a message of {size} bytes is too large for a channel",
                hint=f"send at most {self.max_message} bytes at once, or use a stream",
            )
        if not self._sending.locked() and self._try(data, size):
            return
        async with self._sending:
            while not self._try(data, size):
                await self._changed.wait()

    async def receive(self) -> bytes | str:
        """The next message; ChannelClosed once the channel has ended and everything before that was taken."""
        while (message := self.take()) is None:
            if self.closed:
                raise ChannelClosed(f"channel {self.label!r} has ended: {self.end_reason or 'closed here'}")
            await self._changed.wait()
        return message

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> bytes | str:
        try:
            return await self.receive()
        except ChannelClosed:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """Close the channel in both directions after what was sent; what was not yet received is dropped."""
        self.shut()

    # -- for streams, which wait in their own way

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever something came in, there is room again, or the channel ended."""
        self._watcher = watcher

    def try_send(self, data: bytes | str) -> bool:
        """Send a message if there is room and credit for it; ChannelClosed if the channel has ended."""
        return self._try(data, _size(data))

    def _try(self, data: bytes | str, size: int) -> bool:
        if self.closed:
            raise ChannelClosed(f"channel {self.label!r} has ended: {self.end_reason or 'closed here'}")
        if not self._carrier.has_room(self.id):
            return False
        if self._credited and not self._send_credit.take(size):
            self._say_blocked()
            return False
        self._carrier.send_message(self.id, data)
        return True

    def take(self) -> bytes | str | None:
        """The next message if one is here; taking it lets the peer send more."""
        if not self._inbox:
            return None
        message, size = self._inbox.popleft()
        self._keep(-size)
        if self._credited and not self.closed:
            self._grant(self._receive_credit.consume(size))
        return message

    def shut(self, *, discard: bool = False) -> None:
        """Close at once, or (with `discard`) without sending what is queued."""
        if self._closing or self.end_reason is not None:
            return
        self._release()
        self._closing = True
        self._carrier.close_channel(self.id, discard=discard)
        self.changed()

    # -- what the link tells

    def arrived(self, data: bytes | str) -> None:
        """A message came in."""
        size = _size(data)
        if self._closing:
            return
        if self._credited:
            if not self._receive_credit.arrive(size):
                self._carrier.abort("the peer sent more than its credit allows")
                return
        elif not self._fits(size):
            return
        self._inbox.append((data, size))
        self._keep(size)
        self.changed()

    def granted(self, limit: int) -> None:
        """The peer lets us send more."""
        if self._send_credit.grant(limit):
            self._blocked = False
            self.changed()

    def peer_blocked(self) -> None:
        """The peer waits for credit."""
        if self._credited:
            self._grant(self._receive_credit.blocked())

    def ended(self, reason: str, *, with_link: bool) -> None:
        """The channel is gone; what came in before stays to be read."""
        if self.end_reason is None:
            self._release()
            self._receive_credit.release()
            self.end_reason, self.link_ended = reason, with_link
            self.changed()

    def changed(self) -> None:
        """Wake whoever waits."""
        self._changed.set()
        self._changed.clear()
        self._watcher()

    # -- inside

    def _keep(self, size: int) -> None:
        """Count what waits for the reader, here and in the link; what is left at the end is only the reader's."""
        self._inbox_bytes += size
        if not self._credited and not self.closed:
            self._carrier.held += size

    def _release(self) -> None:
        if not self._credited and not self.closed:
            self._carrier.held -= self._inbox_bytes

    def _fits(self, size: int) -> bool:
        """Whether a message of a channel without credit is kept."""
        shared = self._carrier.held + size <= MAX_HELD_BYTES
        if self._options.reliable:
            if shared and len(self._inbox) < MAX_PLAIN_MESSAGES and self._inbox_bytes + size <= MAX_PLAIN_BYTES:
                return True
            self.ended("the messages that nobody read became too many", with_link=False)
            self._carrier.close_channel(self.id, discard=True)
            return False
        if shared and len(self._inbox) < MAX_UNRELIABLE_MESSAGES and self._inbox_bytes + size <= MAX_UNRELIABLE_BYTES:
            return True
        self.dropped += 1
        return False

    def _grant(self, limit: int | None) -> None:
        if limit is not None:
            self._carrier.send_control(wire.Grant(self.id, limit))

    def _say_blocked(self) -> None:
        if not self._blocked:
            self._blocked = True
            self._carrier.send_control(wire.Blocked(self.id))


def _size(data: bytes | str) -> int:
    return len(data.encode()) if isinstance(data, str) else len(data)
