"""Data channels: which there are, how they open and close, and what their messages are (RFC 8831, RFC 8832).

Pure: what is to be told goes to `told` as the name of a method of `AssociationEvents` and its arguments.
"""

from __future__ import annotations

import logging
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.sctp import dcep
from atmosphere.sctp.early import EarlyMessages
from atmosphere.sctp.interface import MAX_MESSAGE, ChannelOptions
from atmosphere.sctp.ordering import Message
from atmosphere.sctp.outgoing import Outgoing, OutgoingQueue
from atmosphere.sctp.reset import StreamReset

logger = logging.getLogger(__name__)

DCEP, STRING, BINARY, STRING_EMPTY, BINARY_EMPTY = 50, 51, 53, 56, 57
"""Payload protocols (RFC 8831 section 8)."""
MAX_PEER_CHANNELS = 1024
LOW_MARK = 128 * 1024
"""Bytes of a channel that wait, beyond which it has no room and tells when it has again."""
IDS = 65535
_EMPTY = b"\0"

Told = tuple[str, tuple[Any, ...]]


class _Channel:
    """One data channel as the association sees it."""

    __slots__ = ("acknowledged", "by_peer", "closing", "options", "peer_reset", "reset", "reset_done")

    def __init__(self, options: ChannelOptions, *, by_peer: bool, negotiated: bool) -> None:
        self.options = options
        self.by_peer = by_peer
        self.acknowledged = by_peer or negotiated
        self.closing = self.reset = self.reset_done = self.peer_reset = False


class DataChannels:
    """The channels of one association; a handle is an SCTP stream id."""

    def __init__(self, queue: OutgoingQueue, told: list[Told], *, client: bool, first_id: int) -> None:
        self._queue = queue
        self._told = told
        self._channels: dict[int, _Channel] = {}
        self._closing: set[int] = set()
        self._high: set[int] = set()
        self._early = EarlyMessages()
        self._first_id = first_id + (first_id + (0 if client else 1)) % 2
        self._next_id = self._first_id
        self._by_peer = 0
        self._reset: StreamReset | None = None
        self._can_reset = False
        self.ids = IDS
        """How many stream ids both sides allow."""

    @property
    def count(self) -> int:
        """How many channels there are."""
        return len(self._channels)

    def established(self, reset: StreamReset, streams: int, *, can_reset: bool) -> None:
        """The association stands, so channels can be closed."""
        self._reset, self._can_reset = reset, can_reset
        self.ids = min(streams, IDS)

    # -- what the owner asks for

    def open(self, options: ChannelOptions, negotiated_id: int | None = None) -> int:
        """A new channel's handle. ValueError for impossible options, and if no id is free."""
        announcement = dcep.encode_open(options)
        handle = self._free_id() if negotiated_id is None else negotiated_id
        if handle in self._channels or not 0 <= handle < IDS:
            raise ValueError(f"channel id {handle} is taken or out of range")
        self._channels[handle] = _Channel(options, by_peer=False, negotiated=negotiated_id is not None)
        if negotiated_id is None:
            self._push(handle, DCEP, announcement, None)
        return handle

    def send(self, handle: int, data: bytes | str, now: float) -> None:
        """Queue a message. ValueError if it is too large or the channel is not open."""
        channel = self._channels.get(handle)
        if channel is None or channel.closing:
            raise ValueError("the channel is closed")
        if isinstance(data, str):
            kind, payload = (STRING, data.encode()) if data else (STRING_EMPTY, _EMPTY)
        else:
            kind, payload = (BINARY, bytes(data)) if data else (BINARY_EMPTY, _EMPTY)
        if len(payload) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(payload)} bytes is too large; {MAX_MESSAGE} are allowed")
        self._push(handle, kind, payload, channel, now)

    def close(self, handle: int, *, discard: bool = False) -> None:
        """Close a channel once what is queued is sent (or, with `discard`, without it)."""
        channel = self._channels.get(handle)
        if channel is None:
            return
        if discard and channel.acknowledged:
            self._queue.discard(handle)
        channel.closing = True
        self._closing.add(handle)
        self.drained()

    def end(self, reason: str) -> None:
        """The association is over: so is every channel."""
        for handle in list(self._channels):
            self._remove(handle, reason)
        self._closing.clear()

    # -- what comes in

    def deliver_early(self, handle: int) -> None:
        """Tell what came for a negotiated channel before it was opened."""
        for protocol, data in self._early.take(handle) if handle in self._channels else ():
            self._deliver(handle, protocol, data)

    def receive(self, message: Message) -> None:
        """Sort one message: DCEP, a known channel's, or one that came before its channel."""
        stream, protocol, data = message
        if protocol == DCEP:
            self._receive_dcep(stream, data)
        elif stream in self._channels:
            self._deliver(stream, protocol, data)
        else:
            self._early.hold(stream, protocol, data)

    def peer_reset(self, streams: tuple[int, ...]) -> None:
        """The peer closed channels, so nobody will read what we still had for them; ours is closed too."""
        for handle in streams or tuple(self._channels):
            channel = self._channels.get(handle)
            self._early.take(handle)
            if channel is not None:
                channel.peer_reset = True
                self.close(handle, discard=True)
                self._finish(handle, channel)

    def reset_done(self, streams: tuple[int, ...]) -> None:
        """The peer has taken our reset."""
        for handle in streams:
            self._queue.forget(handle)
            channel = self._channels.get(handle)
            if channel is not None:
                channel.reset_done = True
                self._finish(handle, channel)

    def drained(self) -> None:
        """Something was sent: close what waited for that, and tell which channels have room again."""
        if self._high:
            for handle in [handle for handle in self._high if self._queue.buffered_of(handle) <= LOW_MARK]:
                self._high.discard(handle)
                self._told.append(("on_buffered_low", (handle,)))
        if self._closing:
            for handle in [handle for handle in self._closing if not self._queue.buffered_of(handle)]:
                self._reset_or_remove(handle)

    # -- inside

    def _reset_or_remove(self, handle: int) -> None:
        channel = self._channels[handle]
        self._closing.discard(handle)
        if self._reset is None or not self._can_reset:
            self._remove(handle, "closed")
        elif not channel.reset:
            channel.reset = True
            self._reset.want(handle)

    def _finish(self, handle: int, channel: _Channel) -> None:
        if channel.peer_reset and channel.reset_done:
            self._remove(handle, "closed")

    def _remove(self, handle: int, reason: str) -> None:
        channel = self._channels.pop(handle)
        self._by_peer -= channel.by_peer
        self._queue.discard(handle)
        self._closing.discard(handle)
        self._high.discard(handle)
        self._told.append(("on_channel_closed", (handle, reason)))

    def _receive_dcep(self, stream: int, data: bytes) -> None:
        channel = self._channels.get(stream)
        if dcep.is_ack(data):
            if channel is not None and not channel.acknowledged:
                channel.acknowledged = True
                self._told.append(("on_open", (stream,)))
            return
        if channel is not None:
            logger.debug("a second DATA_CHANNEL_OPEN on stream %d was dropped", stream)
            return
        try:
            options = dcep.decode_open(data)
        except DecodeError as error:
            logger.debug("dropped a DCEP message: %s", error)
            return
        self._accept(stream, options)

    def _accept(self, stream: int, options: ChannelOptions) -> None:
        self._channels[stream] = _Channel(options, by_peer=True, negotiated=False)
        self._by_peer += 1
        if self._by_peer > MAX_PEER_CHANNELS:
            self.close(stream, discard=True)
            return
        self._push(stream, DCEP, dcep.ACK, None)
        self._told.append(("on_channel_opened", (stream, options)))
        self.deliver_early(stream)

    def _deliver(self, stream: int, protocol: int, data: bytes) -> None:
        message: bytes | str
        if protocol == BINARY:
            message = data
        elif protocol == STRING:
            try:
                message = data.decode()
            except UnicodeDecodeError:
                logger.debug("text that is not UTF-8 closes channel %d", stream)
                self.close(stream, discard=True)
                return
        elif protocol in (STRING_EMPTY, BINARY_EMPTY):
            message = "" if protocol == STRING_EMPTY else b""
        else:
            return
        self._told.append(("on_message", (stream, message)))

    def _push(self, handle: int, kind: int, payload: bytes, channel: _Channel | None, now: float = 0.0) -> None:
        """Queue a message; DCEP's own (without `channel`) are reliable and ordered."""
        priority = self._channels[handle].options.priority
        if channel is None:
            message = Outgoing(handle, kind, payload)
        else:
            options = channel.options
            message = Outgoing(
                handle,
                kind,
                payload,
                # Until the peer knows the channel, messages must not overtake its OPEN (RFC 8832 section 6).
                unordered=not options.ordered and channel.acknowledged,
                most_sent=None if options.max_retransmits is None else options.max_retransmits + 1,
                expires=None if options.max_lifetime_ms is None else now + options.max_lifetime_ms / 1000,
            )
        self._queue.push(message, priority)
        if self._queue.buffered_of(handle) > LOW_MARK:
            self._high.add(handle)

    def _free_id(self) -> int:
        """The id of our parity (RFC 8832 section 6) not used for longest: late news of an old one harms nobody."""
        for _ in range(self.ids // 2):
            candidate = self._next_id
            self._next_id = candidate + 2 if candidate + 2 < self.ids else self._first_id
            if candidate not in self._channels:
                return candidate
        raise ValueError("no channel id is free")
