"""An SCTP association with data channels (RFC 8831): DCEP and fair turns of our own over aiortc's chunk machinery.

It knows no DTLS and no link: packets come by `receive` and leave by `send`; everything else is told to `events`.
Packets are handled strictly one after another, also when a callback makes us send and the path answers at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from atmosphere.errors import DecodeError
from atmosphere.sctp import dcep
from atmosphere.sctp.early import EarlyMessages
from atmosphere.sctp.fair import FairQueue
from atmosphere.sctp.interface import MAX_MESSAGE, AssociationEvents, ChannelOptions

if TYPE_CHECKING:
    from atmosphere.sctp.transport import SctpTransport

logger = logging.getLogger(__name__)

DCEP, STRING, BINARY, STRING_EMPTY, BINARY_EMPTY = 50, 51, 53, 56, 57
MAX_PEER_CHANNELS = 1024
MAX_WAITING_PACKETS = 1024
LOW_MARK = 32 * 1024
LOUD_ERRORS = 10
_EMPTY = b"\0"


def preload() -> None:
    """Import aiortc now (a quarter of a second), so that the first link does not stop the loop for it."""
    import_module("atmosphere.sctp.transport")


class _Channel:
    """One data channel as the association sees it."""

    __slots__ = ("acknowledged", "by_peer", "closing", "high", "options", "reset")

    def __init__(self, options: ChannelOptions, *, by_peer: bool, negotiated: bool) -> None:
        self.options = options
        self.by_peer = by_peer
        self.acknowledged = by_peer or negotiated
        self.closing = False
        self.reset = False
        self.high = False


class SctpAssociation:
    """The `Association` that runs on aiortc; see sctp/interface.py for what each call means."""

    def __init__(
        self, *, client: bool, send: Callable[[bytes], None], events: AssociationEvents, first_id: int = 0
    ) -> None:
        from atmosphere.sctp.transport import SctpTransport

        self._events = events
        self._transport: SctpTransport = SctpTransport(client=client, send=self._send_packet, owner=self)
        self._send = send
        self._channels: dict[int, _Channel] = {}
        self._queue: FairQueue[tuple[int, bytes]] = FairQueue()
        self._early = EarlyMessages()
        self._first_id = first_id + (first_id + (0 if client else 1)) % 2
        self._next_id = self._first_id
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING_PACKETS)
        self._busy = False
        self._flush_handle: asyncio.Handle | None = None
        self.contained = 0
        """Errors in the handling of a packet, or in a callback, that were kept from doing harm."""

    # -- the Association interface

    @property
    def established(self) -> bool:
        """Whether messages flow."""
        return self._transport.established

    @property
    def queued(self) -> int:
        """Bytes of all channels that were not yet handed to SCTP."""
        return self._queue.bytes

    @property
    def outstanding(self) -> bool:
        """Whether anything was sent, or waits to be, that the peer has not acknowledged."""
        return bool(self._queue) or self._transport.outstanding

    @property
    def answer_time(self) -> float | None:
        """Seconds that an acknowledgement takes, at most as a rule; None before that was measured."""
        return self._transport.answer_time

    def start(self) -> None:
        """Begin the handshake (both sides do)."""
        self._transport.begin()

    def receive(self, packet: bytes) -> None:
        """Take one SCTP packet. Never raises."""
        self._waiting.append(packet)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                self._guard(self._transport.handle, self._waiting.popleft())
        finally:
            self._busy = False
        self._flush()

    def open(self, options: ChannelOptions, negotiated_id: int | None = None) -> int:
        """Open a channel and return its handle; messages may be sent at once. ValueError if no id is free."""
        announcement = dcep.encode_open(options)
        if self._transport.over:
            raise ValueError("the association is closed")
        negotiated = negotiated_id is not None
        handle = self._free_id() if negotiated_id is None else negotiated_id
        if handle in self._channels or not 0 <= handle < 65535:
            raise ValueError(f"channel id {handle} is taken or out of range")
        self._add(handle, _Channel(options, by_peer=False, negotiated=negotiated))
        if negotiated:
            # The caller gets the handle first, what came before it a turn of the loop later.
            asyncio.get_running_loop().call_soon(self._deliver_early, handle)
        else:
            self._push(handle, DCEP, announcement)
        return handle

    def send(self, handle: int, data: bytes | str) -> None:
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
        self._push(handle, kind, payload)

    def buffered(self, handle: int) -> int:
        """Bytes of one channel that were not yet handed to SCTP; 0 for a channel that is gone."""
        return self._queue.buffered(handle)

    def close(self, handle: int, *, discard: bool = False) -> None:
        """Close a channel once what is queued is sent (or, with `discard`, without it)."""
        channel = self._channels.get(handle)
        if channel is None:
            return
        if discard and channel.acknowledged:
            self._queue.discard(handle)
        channel.closing = True
        self._reset_if_drained(handle)

    def kick(self) -> None:
        """Send again now whatever is unacknowledged: the path has just changed."""
        self._guard(self._transport.kick)

    def probe(self) -> None:
        """Send something that is unacknowledged once more, so that the peer says something."""
        self._guard(self._transport.probe)

    def abort(self, reason: str) -> None:
        """End the association at once and tell the peer why."""
        self._guard(self._transport.abort, reason)

    # -- what the transport tells

    def transport_established(self) -> None:
        """Tell the owner, and send what waited."""
        self._guard(self._events.on_established)
        self._flush_soon()

    def transport_closed(self, reason: str) -> None:
        """Close every channel, then say so."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
        for handle in list(self._channels):
            self._remove(handle, reason)
        self._waiting.clear()
        self._guard(self._events.on_closed, reason)

    def transport_message(self, stream: int, protocol: int, data: bytes) -> None:
        """Sort one message: DCEP, a known channel's, or one that came before its channel."""
        if len(data) > MAX_MESSAGE:
            self._transport.abort("a message is too large")
        elif protocol == DCEP:
            self._receive_dcep(stream, data)
        elif stream in self._channels:
            self._deliver_early(stream)
            self._deliver(stream, protocol, data)
        else:
            self._early.hold(stream, protocol, data)

    def transport_room(self) -> None:
        """Hand over messages, in fair turns, while SCTP takes them."""
        if not self._busy:
            self._flush()
            return
        self._flush_now()

    def transport_stream_reset(self, stream: int) -> None:
        """The peer closed a channel, so nobody will read what we still had for it."""
        self.close(stream, discard=True)

    def transport_stream_closed(self, stream: int) -> None:
        """A channel is closed in both directions."""
        self._remove(stream, "closed")

    def _send_packet(self, packet: bytes) -> None:
        """Give a packet to the path; an answer that comes before this returns waits until we are done."""
        busy, self._busy = self._busy, True
        try:
            self._send(packet)
        finally:
            self._busy = busy
        if self._waiting and not busy:
            self._flush_soon()

    # -- receiving

    def _receive_dcep(self, stream: int, data: bytes) -> None:
        channel = self._channels.get(stream)
        if dcep.is_ack(data):
            if channel is not None and not channel.acknowledged:
                channel.acknowledged = True
                self._guard(self._events.on_open, stream)
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
        opened = sum(channel.by_peer for channel in self._channels.values())
        self._add(stream, _Channel(options, by_peer=True, negotiated=False))
        if opened >= MAX_PEER_CHANNELS:
            self.close(stream, discard=True)
            return
        self._push(stream, DCEP, dcep.ACK)
        self._guard(self._events.on_channel_opened, stream, options)
        self._deliver_early(stream)

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
        self._guard(self._events.on_message, stream, message)

    def _deliver_early(self, stream: int) -> None:
        for protocol, data in self._early.take(stream) if stream in self._channels else ():
            self._deliver(stream, protocol, data)

    # -- sending

    def _push(self, handle: int, protocol: int, payload: bytes) -> None:
        self._queue.push(handle, (protocol, payload), len(payload))
        if self._queue.buffered(handle) > LOW_MARK:
            self._channels[handle].high = True
        self._flush()

    def _flush(self) -> None:
        if self._busy:
            self._flush_soon()
            return
        self._busy = True
        try:
            self._flush_now()
        finally:
            self._busy = False
        if self._waiting:
            self.receive(self._waiting.popleft())

    def _flush_soon(self) -> None:
        if self._flush_handle is None and not self._transport.over:
            self._flush_handle = asyncio.get_running_loop().call_soon(self._flush_later)

    def _flush_later(self) -> None:
        self._flush_handle = None
        self._flush()

    def _flush_now(self) -> None:
        while self._queue and self._transport.established and not self._transport.busy:
            handle, (protocol, payload) = self._queue.pop()
            channel = self._channels[handle]
            self._guard(self._hand_over, handle, channel, protocol, payload)
            if channel.high and self._queue.buffered(handle) <= LOW_MARK:
                channel.high = False
                self._guard(self._events.on_buffered_low, handle)
            self._reset_if_drained(handle)

    def _hand_over(self, handle: int, channel: _Channel, protocol: int, payload: bytes) -> None:
        how: dict[str, Any] = {}
        if protocol != DCEP:
            # Until the peer knows the channel, messages must not overtake its DATA_CHANNEL_OPEN (RFC 8832 section 6).
            how["ordered"] = channel.options.ordered or not channel.acknowledged
            how["max_retransmits"] = channel.options.max_retransmits
            if channel.options.max_lifetime_ms is not None:
                how["expiry"] = time.time() + channel.options.max_lifetime_ms / 1000
        self._transport.transmit(handle, protocol, payload, **how)

    # -- the table of channels

    def _free_id(self) -> int:
        """The id of our parity (RFC 8832 section 6) not used for longest: late news of an old one harms nobody."""
        count = self._transport.stream_count
        for _ in range(count // 2):
            candidate = self._next_id
            self._next_id = candidate + 2 if candidate + 2 < min(count, 65535) else self._first_id
            if candidate not in self._channels:
                return candidate
        raise ValueError("no channel id is free")

    def _add(self, handle: int, channel: _Channel) -> None:
        self._channels[handle] = channel
        self._transport.add(handle)

    def _remove(self, handle: int, reason: str) -> None:
        self._queue.discard(handle)
        self._transport.forget(handle)
        if self._channels.pop(handle, None) is not None:
            self._guard(self._events.on_channel_closed, handle, reason)

    def _reset_if_drained(self, handle: int) -> None:
        channel = self._channels.get(handle)
        if channel is None or not channel.closing or channel.reset or self._queue.waits(handle):
            return
        if self._transport.established:
            channel.reset = True
            self._guard(self._transport.reset, handle)
        else:
            self._remove(handle, "closed")

    def _guard(self, call: Callable[..., None], *arguments: Any) -> None:
        """Keep an error in one callback or one packet from everything else."""
        try:
            call(*arguments)
        except Exception:  # a hostile packet or a faulty handler must not end the association
            self.contained += 1
            level = logging.WARNING if self.contained <= LOUD_ERRORS else logging.DEBUG
            logger.log(level, "an error was contained", exc_info=True)
