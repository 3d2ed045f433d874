"""Messages that wait to be sent, and whose turn it is.

Deficit round robin (Shreedhar and Varghese, 1995): every channel that has something to send gets a share a turn that
goes by its priority. With interleaving a turn may end inside a message (RFC 8260); without, a message that has begun
is finished first.

So that the peer can put together what it gets, messages of many channels are not begun all at once: what has begun and
is not sent whole is at most `BEGUN_MOST`, or one message.
"""

from __future__ import annotations

from collections import deque

QUANTUM = 32 * 1024
"""Bytes a turn at normal priority."""
NORMAL = 256
BEGUN_MOST = 1024 * 1024


class Outgoing:
    """One message on its way: what is to be sent of it, and what its limits allow."""

    __slots__ = (
        "abandoned",
        "data",
        "expires",
        "fragment",
        "most_sent",
        "number",
        "offset",
        "protocol",
        "stream",
        "times",
        "unordered",
    )

    def __init__(
        self,
        stream: int,
        protocol: int,
        data: bytes,
        *,
        unordered: bool = False,
        most_sent: int | None = None,
        expires: float | None = None,
    ) -> None:
        self.stream, self.protocol, self.data, self.unordered = stream, protocol, data, unordered
        self.most_sent = most_sent
        """How often one of its chunks may be sent; None for no limit."""
        self.expires = expires
        self.offset = 0
        self.number = 0
        self.fragment = 0
        self.times = 1
        self.abandoned = False

    @property
    def limited(self) -> bool:
        """Whether it may be given up."""
        return self.most_sent is not None or self.expires is not None

    @property
    def left(self) -> int:
        """Bytes that have not been sent once."""
        return len(self.data) - self.offset


class _Lane:
    """What one channel has to send."""

    __slots__ = ("buffered", "messages", "priority", "saved")

    def __init__(self, priority: int) -> None:
        self.messages: deque[Outgoing] = deque()
        self.buffered = 0
        self.saved = 0
        self.priority = priority


class OutgoingQueue:
    """Messages by channel; `current` is the one whose turn it is, `spend` says how much of it was sent."""

    def __init__(self) -> None:
        self.interleaved = True
        self.begun_most = BEGUN_MOST
        self._lanes: dict[int, _Lane] = {}
        self._turns: deque[int] = deque()
        self._held_back: list[int] = []
        self._numbers: dict[tuple[int, bool], int] = {}
        self._begun = 0
        self.buffered = 0
        """Bytes that wait over all channels."""

    def __bool__(self) -> bool:
        return bool(self._turns or self._held_back)

    def buffered_of(self, stream: int) -> int:
        """Bytes that one channel has waiting."""
        lane = self._lanes.get(stream)
        return lane.buffered if lane else 0

    def push(self, message: Outgoing, priority: int = NORMAL) -> None:
        """Queue a message on its channel."""
        lane = self._lanes.get(message.stream)
        if lane is None:
            lane = self._lanes[message.stream] = _Lane(priority)
            lane.saved = self._share(lane)
            self._turns.append(message.stream)
        lane.messages.append(message)
        lane.buffered += len(message.data)
        self.buffered += len(message.data)

    def current(self, now: float) -> Outgoing | None:
        """The message to send from; None when nothing waits. What has expired unsent is dropped (RFC 7496)."""
        while self._turns:
            stream = self._turns[0]
            lane = self._lanes[stream]
            message = lane.messages[0]
            if message.abandoned or (message.expires is not None and not message.offset and now >= message.expires):
                self._drop_first(stream, lane)
            elif message.offset or self._may_begin(message):
                return message
            else:
                self._held_back.append(self._turns.popleft())
        return None

    def begin(self, message: Outgoing) -> None:
        """Number a message that is about to be sent."""
        key = (message.stream, message.unordered and self.interleaved)
        if not message.unordered or self.interleaved:
            message.number = self._numbers.get(key, 0)
            self._numbers[key] = (message.number + 1) % (2**32 if self.interleaved else 2**16)
        self._begun += len(message.data)

    def spend(self, message: Outgoing, size: int) -> None:
        """So many more bytes of the current message are sent; another may have its turn now."""
        stream = self._turns[0]
        lane = self._lanes[stream]
        message.offset += size
        lane.buffered -= size
        self.buffered -= size
        lane.saved -= size
        if message.offset == len(message.data):
            self._drop_first(stream, lane)
            if not lane.messages:
                return
        if lane.saved <= 0 and (self.interleaved or not lane.messages[0].offset):
            lane.saved += self._share(lane)
            self._turns.rotate(-1)

    def allowance(self) -> int:
        """Bytes that the current message's channel may still send in this turn; 0 where its messages go whole."""
        lane = self._lanes[self._turns[0]]
        return max(lane.saved, 1) if self.interleaved and len(self._turns) > 1 else 0

    def abandon(self, message: Outgoing) -> None:
        """Send no more of a message that has begun."""
        message.abandoned = True
        lane = self._lanes.get(message.stream)
        if lane is not None and lane.messages and lane.messages[0] is message:
            self._unhold()
            self._drop_first(message.stream, lane)

    def discard(self, stream: int) -> None:
        """Forget everything that a channel has waiting but the rest of a message that has begun."""
        lane = self._lanes.get(stream)
        if lane is None:
            return
        kept = [message for message in lane.messages if message.offset]
        dropped = lane.buffered - sum(message.left for message in kept)
        lane.buffered -= dropped
        self.buffered -= dropped
        lane.messages = deque(kept)
        if not kept:
            self._unhold()
            self._remove(stream)

    def forget(self, stream: int) -> None:
        """Number the channel's messages anew: it was reset."""
        self._numbers.pop((stream, False), None)
        self._numbers.pop((stream, True), None)

    def clear(self) -> None:
        """Forget everything: the association is over."""
        self._lanes.clear()
        self._turns.clear()
        self._held_back.clear()
        self.buffered = self._begun = 0

    def _share(self, lane: _Lane) -> int:
        return max(QUANTUM * lane.priority // NORMAL, 1024)

    def _may_begin(self, message: Outgoing) -> bool:
        return not self._begun or self._begun + len(message.data) <= self.begun_most

    def _unhold(self) -> None:
        self._turns.extend(self._held_back)
        self._held_back.clear()

    def _drop_first(self, stream: int, lane: _Lane) -> None:
        message = lane.messages.popleft()
        left = message.left
        lane.buffered -= left
        self.buffered -= left
        if message.offset:
            self._begun -= len(message.data)
            if self._held_back:
                self._unhold()
        if not lane.messages:
            self._remove(stream)

    def _remove(self, stream: int) -> None:
        del self._lanes[stream]
        self._turns.remove(stream)
