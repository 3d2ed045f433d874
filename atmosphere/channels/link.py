"""A link: what connects two nodes. DTLS, SCTP and channels wired over a path that moves datagrams.

Between our own nodes channels 0 (control), 1 (the mesh) and 2 (datagrams) exist from the start; with `plain=True` the
peer is any other WebRTC stack: no channel is reserved, there is no credit, and receive queues are simply bounded.
Whether there is a path is for ICE to say; a link only tells (`flow`) when data goes unanswered on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from atmosphere.channels import wire
from atmosphere.channels.channel import Channel
from atmosphere.channels.control import ControlSender
from atmosphere.channels.credit import WindowBudget
from atmosphere.channels.flowwatch import FlowWatch
from atmosphere.channels.inbound import Inbound
from atmosphere.channels.protected import DatagramTransport, Protected, ProtectedPath
from atmosphere.channels.stream import Stream
from atmosphere.dtls.burst import Burst
from atmosphere.dtls.context import Keys
from atmosphere.errors import ChannelClosed, DecodeError, LinkError, Unreachable
from atmosphere.light import Event
from atmosphere.sctp.datachannels import LOW_MARK
from atmosphere.sctp.driver import SctpAssociation
from atmosphere.sctp.handshake import SECRET
from atmosphere.sctp.interface import BROWSER_MESSAGE, MAX_MESSAGE, Association, ChannelOptions

logger = logging.getLogger(__name__)

MAX_DATAGRAM = 1150
"""Bytes in one datagram, so that it is one packet on any path."""
MAX_DATAGRAM_QUEUE = 64 * 1024
SCTP_EXPORTER = b"EXPORTER-atmosphere-sctp"
"""Label of what both ends take the beginning of their association from."""
FLUSH_TIME = 1.0
"""Seconds that `close` waits for what is on its way."""


def _ignore(_datagram: bytes) -> None:
    """Nobody listens."""


class Link(Protected):
    """An encrypted association with one peer. Make it as soon as there is a path, then `await start()`."""

    def __init__(
        self,
        transport: DatagramTransport,
        identity: Keys,
        *,
        client: bool,
        plain: bool = False,
        max_message: int | None = None,
    ) -> None:
        """`plain`: the peer is any other stack. `max_message`: the largest that it takes, if it said so (RFC 8841)."""
        self._plain = plain
        usual = BROWSER_MESSAGE if plain else MAX_MESSAGE
        self.max_message = min(usual if max_message is None else max_message or MAX_MESSAGE, MAX_MESSAGE)
        self.flow = FlowWatch()
        self._path = ProtectedPath(transport, identity, self, client=client, srtp=plain)
        self._channels: dict[int, Channel] = {}
        self._streams: dict[int, Stream] = {}
        self._inbound = Inbound()
        self._windows = WindowBudget()
        self._settled = Event()
        self._closed = Event()
        self._progress = Event()
        self._end_reason: str | None = None
        self._mesh_channel: Channel | None = None
        self.on_datagram: Callable[[bytes], None] = _ignore
        self.datagrams_dropped = 0
        self._held = 0
        self._association: Association = SctpAssociation(
            client=client,
            send=self._send_packets,
            events=self,
            first_id=0 if plain else wire.FIRST_FREE_ID,
            blocked=lambda: self._path.blocked,
            send_probe=self._path.send_probe,
        )
        self.flow.attend(self._association)
        self._control = ControlSender(self._send_control, lambda: self.has_room(wire.CONTROL_ID))
        if not plain:
            self._open_reserved()
        self._path.listen()

    # -- life

    def hello(self) -> list[bytes]:
        """The datagrams with which a client begins: they may be sent ahead of `start`, while there is no path yet."""
        return self._path.hello()

    def begin(self) -> None:
        """There is a path now, for a link that was made before."""
        self._path.begin()

    async def start(self, timeout: float = 15.0) -> None:
        """Shake hands, DTLS and then SCTP.

        Unreachable if that is not done within `timeout` seconds, LinkError if it fails before.
        """
        self._path.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._settled.wait()
        if self._end_reason is not None:
            kind = Unreachable if self._path.session.timed_out else LinkError
            raise kind(f"the link could not be made: {self._end_reason}")
        if not self._settled.is_set():
            layer = "the DTLS handshake" if self._path.session.state == "handshaking" else "the SCTP handshake"
            self.abort("no answer in time")
            raise Unreachable(f"the peer did not finish {layer} within {timeout:g} s")

    async def close(self, reason: str = "") -> None:
        """Send what is on its way (for at most a second), then end the link; the peer is told `reason`."""
        if self._end_reason is None and self._association.established:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIME):
                    await self._flushed()
        self.abort(reason or "closed")

    def abort(self, reason: str) -> None:
        """End the link now; the peer is told `reason`."""
        self._finish(reason)

    async def wait_closed(self) -> str:
        """Wait until the link has ended, and why it did."""
        await self._closed.wait()
        return self._end_reason or ""

    @property
    def established(self) -> bool:
        """Whether the handshakes are complete and the link has not ended."""
        return self._end_reason is None and self._association.established

    @property
    def closed(self) -> bool:
        """Whether the link has ended."""
        return self._end_reason is not None

    def path_changed(self, *, moved: bool = True) -> None:
        """There is another path: send again at once what may have been lost on the old one.

        Where it has not `moved`, but leads over the same addresses, a silence on it is counted on.
        """
        if self._end_reason is None:
            if moved:
                self.flow.heard()
            self._association.kick()

    @property
    def held(self) -> int:
        """Bytes that the channels without credit keep for their readers."""
        return self._held

    @held.setter
    def held(self, size: int) -> None:
        self._held = size
        self._association.read(size)

    def dump(self) -> dict[str, Any]:
        """The association's state in short, for whoever looks into a stall."""
        return self._association.dump()

    def _send_packets(self, data: bytes, segment: int) -> None:
        self._path.send(data, segment)
        self.flow.sent()

    # -- channels, streams, datagrams

    @property
    def on_channel(self) -> Callable[[Channel], None] | None:
        """Called with each channel that the peer opens; those opened before it is set wait for it."""
        return self._inbound.channels.handler

    @on_channel.setter
    def on_channel(self, handler: Callable[[Channel], None] | None) -> None:
        self._inbound.channels.set_handler(handler)

    @property
    def on_stream(self) -> Callable[[Stream], None] | None:
        """Called with each stream that the peer opens; those opened before it is set wait for it."""
        return self._inbound.streams.handler

    @on_stream.setter
    def on_stream(self, handler: Callable[[Stream], None] | None) -> None:
        self._inbound.streams.set_handler(handler)

    async def open_channel(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime_ms: int | None = None,
        negotiated_id: int | None = None,
        priority: int = 256,
    ) -> Channel:
        """A new channel, usable at once; LinkError if the link has ended, ValueError for impossible options.

        `priority` is its share beside others: 128 below normal, 256 normal, 512 high, 1024 extra high (RFC 8831 §6.4).
        """
        if self._mesh_channel is not None and negotiated_id == wire.MESH_ID:
            channel, self._mesh_channel = self._mesh_channel, None
            return channel
        options = ChannelOptions(label, protocol, ordered, max_retransmits, max_lifetime_ms, priority)
        return self._open(options, negotiated_id)

    async def open_stream(self, name: str) -> Stream:
        """A new stream, usable at once; LinkError if the link has ended."""
        channel = self._open(ChannelOptions(name, wire.STREAM_PROTOCOL), None)
        return self._add_stream(channel)

    def send_datagram(self, data: bytes) -> bool:
        """Send at most 1150 bytes that may get lost; False if they were dropped here because too much waits already."""
        if len(data) > MAX_DATAGRAM:
            raise ValueError(f"a datagram of {len(data)} bytes is too large; {MAX_DATAGRAM} are allowed")
        if self._plain or not self.established or self._association.buffered(wire.DATAGRAM_ID) > MAX_DATAGRAM_QUEUE:
            self.datagrams_dropped += 1
            return False
        self._association.send(wire.DATAGRAM_ID, data)
        return True

    # -- what channels ask for (channel.Carrier)

    def send_message(self, handle: int, data: bytes | str) -> None:
        """Queue one message of a channel."""
        try:
            self._association.send(handle, data)
        except ValueError as error:
            raise ChannelClosed(str(error)) from error

    def has_room(self, handle: int) -> bool:
        """Whether a channel's queue is short enough for one more message."""
        return self._association.buffered(handle) <= LOW_MARK

    def send_control(self, message: wire.Control) -> None:
        """Tell the peer's end of the link something; a plain peer has no ear for it."""
        if not self._plain and self._end_reason is None:
            self._control.send(message)

    def close_channel(self, handle: int, *, discard: bool) -> None:
        """Close a channel, with or without sending what is queued."""
        self._association.close(handle, discard=discard)

    # -- what the association tells (sctp.interface.AssociationEvents)

    def on_established(self) -> None:
        """Both handshakes are complete."""
        logger.info("link to %s is up", self.peer_id)
        self._settled.set()

    def on_channel_opened(self, handle: int, options: ChannelOptions) -> None:
        """The peer opened a channel or a stream."""
        if not self._inbound.admit(handle):
            self._association.close(handle, discard=True)
            return
        channel = self._add(handle, options)
        if options.protocol == wire.STREAM_PROTOCOL:
            self._inbound.streams.offer(self._add_stream(channel))
        else:
            self._inbound.channels.offer(channel)

    def on_open(self, handle: int) -> None:
        """The peer knows our channel now; there is nothing to wait for, messages flow before that."""

    def on_message(self, handle: int, data: bytes | str) -> None:
        """A message came in."""
        if handle == wire.CONTROL_ID and not self._plain:
            self._receive_control(data)
        elif handle == wire.DATAGRAM_ID and not self._plain:
            if isinstance(data, bytes):
                self.on_datagram(data)
        elif (channel := self._channels.get(handle)) is not None:
            channel.arrived(data)

    def on_buffered_low(self, handle: int) -> None:
        """There is room again in a channel's queue."""
        if handle == wire.CONTROL_ID and not self._plain:
            self._control.flush()
        elif (channel := self._channels.get(handle)) is not None:
            channel.changed()

    def on_channel_closed(self, handle: int, reason: str) -> None:
        """A channel is gone."""
        if handle in (wire.CONTROL_ID, wire.DATAGRAM_ID) and not self._plain and self.established:
            self.abort("the peer closed a channel that belongs to the link")
        self._control.forget(handle)
        self._inbound.release(handle)
        self._streams.pop(handle, None)
        channel = self._channels.pop(handle, None)
        if channel is not None:
            channel.ended(reason, with_link=not self.established)

    def on_closed(self, reason: str) -> None:
        """The association is gone."""
        self._finish(reason)

    # -- inside: channels

    def _open_reserved(self) -> None:
        self._association.open(ChannelOptions(wire.CONTROL_LABEL), wire.CONTROL_ID)
        mesh = ChannelOptions(wire.MESH_LABEL)
        self._mesh_channel = self._add(self._association.open(mesh, wire.MESH_ID), mesh)
        datagrams = ChannelOptions(wire.DATAGRAM_LABEL, ordered=False, max_retransmits=0)
        self._association.open(datagrams, wire.DATAGRAM_ID)

    def _open(self, options: ChannelOptions, negotiated_id: int | None) -> Channel:
        if self._end_reason is not None:
            raise LinkError(f"the link has ended: {self._end_reason}")
        return self._add(self._association.open(options, negotiated_id), options)

    def _add(self, handle: int, options: ChannelOptions) -> Channel:
        channel = Channel(self, handle, options, credited=not self._plain, budget=self._windows)
        self._channels[handle] = channel
        return channel

    def _add_stream(self, channel: Channel) -> Stream:
        stream = self._streams[channel.id] = Stream(self, channel)
        return stream

    def _send_control(self, data: bytes) -> None:
        with contextlib.suppress(ValueError):
            self._association.send(wire.CONTROL_ID, data)

    def _receive_control(self, data: bytes | str) -> None:
        try:
            message = wire.decode(data if isinstance(data, bytes) else data.encode())
        except DecodeError as error:
            self.abort(f"the peer broke the link's protocol: {error}")
            return
        if message is None:
            return
        channel, stream = self._channels.get(message.channel), self._streams.get(message.channel)
        match message:
            case wire.Grant(_, limit) if channel is not None:
                channel.granted(limit)
            case wire.Blocked() if channel is not None:
                channel.peer_blocked()
            case wire.Reset(_, reason) if stream is not None:
                stream.peer_reset(reason)
            case wire.Stop() if stream is not None:
                stream.peer_stopped()

    # -- what the protected path tells (protected.Receiver)

    def path_protected(self) -> None:
        """DTLS is up, so SCTP may begin: at once where the peer is a node of ours too (docs/PROTOCOL.md)."""
        if self._path.session.is_own:
            self._association.presume(self._path.session.exporter(SCTP_EXPORTER, SECRET))
        else:
            self._association.start()

    def path_writable(self) -> None:
        """The path takes packets again."""
        self._association.resume()

    def packets_arrived(self, bursts: list[Burst]) -> None:
        """SCTP packets came in."""
        if bursts:
            self.flow.heard()
        for data, segment in bursts:
            self._association.receive(data, segment)
        self._progress.set()
        self._progress.clear()

    def path_ended(self, reason: str) -> None:
        """DTLS has ended."""
        self._finish(reason)

    # -- inside: the end

    async def _flushed(self) -> None:
        """Wait until the peer has acknowledged everything."""
        while self._end_reason is None and (
            self._association.outstanding or any(stream.pending for stream in self._streams.values())
        ):
            await self._progress.wait()

    def _finish(self, reason: str) -> None:
        if self._end_reason is not None:
            return
        self._end_reason = reason
        logger.info("link to %s ended: %s", self.peer_id or "a peer", reason)
        self.flow.stop()
        self._path.last_words()
        self._association.abort(reason)
        self._path.close()
        self._settled.set()
        self._closed.set()
        self._progress.set()
