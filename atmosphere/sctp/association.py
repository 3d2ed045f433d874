"""An SCTP association with data channels, whole and pure: bursts and `now` in; bursts, events and a deadline out.

What happened is in `told`, as the name of a method of `AssociationEvents` and its arguments. The parts are wired here
and know nothing of each other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, incoming, packet, parameters
from atmosphere.sctp.build import Builder, Burst
from atmosphere.sctp.chunks import Sack
from atmosphere.sctp.datachannels import DataChannels, Told
from atmosphere.sctp.handshake import Agreement, Handshake
from atmosphere.sctp.outgoing import BEGUN_MOST, OutgoingQueue
from atmosphere.sctp.parameters import Features
from atmosphere.sctp.receiver import Receiver
from atmosphere.sctp.reset import Reset, StreamReset
from atmosphere.sctp.sender import Sender
from atmosphere.sctp.shutdown import Shutdown

logger = logging.getLogger(__name__)

MAX_CONTROL = 600
"""Bytes of other chunks that share a packet with data."""
MAX_WAITING_CONTROL = 32
_ESTABLISHED_ONLY = frozenset(
    (
        chunks.DATA,
        chunks.I_DATA,
        chunks.SACK,
        chunks.SHUTDOWN,
        chunks.SHUTDOWN_ACK,
        chunks.RE_CONFIG,
        chunks.FORWARD_TSN,
        chunks.I_FORWARD_TSN,
    )
)


class Association:
    """One association. `random(n)` gives n unpredictable bytes; `first_id` is the lowest channel id to be given out."""

    def __init__(
        self,
        *,
        client: bool,
        random: Callable[[int], bytes],
        first_id: int = 0,
        offered: Features | None = None,
        mtu: int = packet.MTU,
    ) -> None:
        self.told: list[Told] = []
        self.over = ""
        """Why the association has ended; empty while it has not."""
        self.queue = OutgoingQueue()
        self.channels = DataChannels(self.queue, self.told, client=client, first_id=first_id)
        self.receiver: Receiver | None = None
        self.sender: Sender | None = None
        self._client = client
        self._mtu = mtu
        self._offered = offered or Features()
        self._handshake = Handshake(random, self._offered)
        self._reset: StreamReset | None = None
        self._shutdown = Shutdown()
        self._control: list[bytes] = []
        self._last_words: list[Burst] = []
        self._expected = b""
        self._data_came = False
        self._handlers: dict[int, Callable[[int, bytes, float], None]] = {
            chunks.INIT: lambda flags, value, now: self._handshake.init(value, now),
            chunks.INIT_ACK: lambda flags, value, now: self._handshake.init_ack(value, now),
            chunks.COOKIE_ECHO: self._on_cookie_echo,
            chunks.COOKIE_ACK: self._on_cookie_ack,
            chunks.SACK: self._on_sack,
            chunks.ABORT: lambda flags, value, now: self._end(parameters.abort_reason(value) or "aborted by the peer"),
            chunks.HEARTBEAT: self._on_heartbeat,
            chunks.ERROR: self._on_error,
            chunks.RE_CONFIG: self._on_reconfig,
            chunks.FORWARD_TSN: self._on_forward,
            chunks.I_FORWARD_TSN: self._on_i_forward,
            chunks.SHUTDOWN: self._on_shutdown,
            chunks.SHUTDOWN_ACK: lambda flags, value, now: self._say(self._shutdown.acknowledged()),
            chunks.SHUTDOWN_COMPLETE: lambda flags, value, now: self._shutdown.completed(),
            chunks.HEARTBEAT_ACK: _ignore,
            chunks.PAD: _ignore,
        }

    # -- life

    @property
    def established(self) -> bool:
        """Whether messages flow."""
        return self.sender is not None and not self.over

    @property
    def outstanding(self) -> bool:
        """Whether anything was sent, or waits to be, that the peer has not acknowledged."""
        return bool(self.queue) or (self.sender is not None and bool(self.sender.flight))

    def start(self, now: float) -> None:
        """Begin the handshake (both sides do)."""
        self._handshake.start(now)

    def presume(self, secret: bytes) -> None:
        """Stand at once: both sides know `secret`, and that the other does this too."""
        self._handshake.presume(secret, client=self._client)
        self._establish()

    def abort(self, reason: str) -> None:
        """End at once and tell the peer why."""
        if self.over:
            return
        tag = self._handshake.peer_tag
        if tag:
            chunk = chunks.encode(chunks.ABORT, parameters.abort_cause(reason))
            made = packet.seal(packet.head(tag), chunk)
            self._last_words.append((made, len(made)))
        self._end(reason)

    def shutdown(self) -> None:
        """End once everything sent has arrived."""
        self._shutdown.wanted = True

    def kick(self, now: float) -> None:
        """Send again now whatever is unacknowledged, and say what has come: the path has just changed."""
        self._handshake.kick(now)
        if self.sender is not None and self.receiver is not None:
            self.sender.moved(now)
            # The last acknowledgements may have been lost with the old path, and the peer would wait for its timer.
            self.receiver.acknowledgement.hurry()
        if self._reset is not None:
            self._reset.kick(now)

    def probe(self) -> None:
        """Send something that is unacknowledged once more, so that the peer says something."""
        if self.sender is not None:
            self.sender.probe()

    def read(self, unread: int) -> None:
        """So many bytes of what was given out have not been read: the peer's window is that much smaller."""
        if self.receiver is not None:
            self.receiver.read(unread)

    # -- bytes and time in

    def receive(self, data: bytes, segment: int, now: float) -> None:
        """Take packets end to end, each of `segment` bytes but the last, which may be shorter. Never raises."""

        def other(one: bytes) -> bool:
            self._packet(one, now)
            return not self.over

        start = 0
        if self.receiver is not None and segment < len(data) and not self.over:
            start = len(data) - len(data) % segment
            self.receiver.burst(data, segment, self._expected, now, other)
        while start < len(data) and not self.over:
            self._packet(data[start : start + segment], now)
            start += segment
        if self._reset is not None and self.receiver is not None:
            self._perform(self._reset.progress(self.receiver.tsns.cumulative))
        self._check_end()

    def handle_timer(self, now: float) -> None:
        """Do what is due by now; `transmit` then has what is to be sent."""
        self._handshake.handle_timer(now)
        if self._handshake.failed:
            self._end(self._handshake.failed)
        if self.sender is not None:
            self.sender.handle_timer(now)
        self._check_end()

    def deadline(self) -> float | None:
        """When `handle_timer` and `transmit` are to be called; None for never."""
        if self.over:
            return None
        times = [self._handshake.deadline(), self._shutdown.deadline()]
        if self.sender is not None and self.receiver is not None and self._reset is not None:
            times += [self.sender.deadline(), self.receiver.acknowledgement.deadline(), self._reset.deadline()]
        return min((time for time in times if time is not None), default=None)

    # -- what goes out

    def transmit(self, now: float) -> list[Burst]:
        """What may be sent now, in bursts; call it again until there is nothing."""
        sender, receiver, reset = self.sender, self.receiver, self._reset
        if sender is None or receiver is None or reset is None or self.over:
            return self._without_data()
        acknowledgement = receiver.acknowledgement
        report = acknowledgement.unreported and (
            acknowledgement.is_due(now) or bool(self.queue) or sender.flight.lost > 0
        )
        control = self._control
        if control or reset.has_work(now) or self._shutdown.is_ending:
            control = self._other_control(sender, receiver, reset, now)
        elif not report and not sender.has_work:
            return self._handshake.packets_as_bursts()
        bursts = self._handshake.packets_as_bursts()
        if report:
            control = [*control, receiver.sack()]
        if sum(map(len, control)) > MAX_CONTROL:
            bursts += sender.builder.bundle(control)
            control = []
        bursts += sender.transmit(now, b"".join(control))
        self.channels.drained()
        return bursts

    def _without_data(self) -> list[Burst]:
        """Before the association stands, and once it is over."""
        bursts, self._last_words = self._last_words, []
        return bursts if self.over else bursts + self._handshake.packets_as_bursts()

    def _other_control(self, sender: Sender, receiver: Receiver, reset: StreamReset, now: float) -> list[bytes]:
        """Chunks that are neither data nor its acknowledgement."""
        control, self._control = self._control, []
        control.append(reset.chunk(sender.flight.next, now, sender.recovery.rto))
        if self._shutdown.is_ending:
            control.append(self._shutdown.chunk(receiver.tsns.cumulative, now, drained=not self.outstanding))
            self._check_end()
        return [chunk for chunk in control if chunk]

    # -- inside: packets

    def _packet(self, data: bytes, now: float) -> None:
        self._data_came = False
        try:
            found = incoming.chunks_of(
                data, self._handshake.tag, self._handshake.peer_tag, zero_checksum=self._offered.zero_checksum
            )
        except DecodeError as error:
            logger.debug("dropped a packet: %s", error)
            return
        for kind, flags, value in found:
            if self.over:
                return
            try:
                if not self._chunk(kind, flags, value, now):
                    break
            except DecodeError as error:
                logger.debug("the rest of a packet was dropped: %s", error)
                break
        if self._data_came and self.receiver is not None:
            self.receiver.packet_done(now)

    def _chunk(self, kind: int, flags: int, value: bytes, now: float) -> bool:
        """Take one chunk; whether to go on with the next."""
        if kind in _ESTABLISHED_ONLY and self.receiver is None:
            return True
        if kind in (chunks.DATA, chunks.I_DATA) and self.receiver is not None:
            self._data_came = True
            try:
                messages = self.receiver.data(kind, flags, value, now)
            except DecodeError as error:
                self.abort(str(error))
                return False
            for message in messages:
                self.channels.receive(message)
            return True
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(flags, value, now)
            return True
        # RFC 9260 section 3.2: the two highest bits say what to do with a chunk that is not known.
        if kind & 0x40 and self.receiver is not None:
            unknown = chunks.encode(kind, value[:64], flags)
            self._say(chunks.encode(chunks.ERROR, parameters.encode(parameters.UNRECOGNIZED_CHUNK, unknown)))
        return bool(kind & 0x80)

    def _say(self, chunk: bytes) -> None:
        if len(self._control) < MAX_WAITING_CONTROL:
            self._control.append(chunk)

    # -- inside: chunks

    def _on_cookie_echo(self, flags: int, value: bytes, now: float) -> None:
        answer = self._handshake.cookie_echo(value, now)
        if self._handshake.restarted:
            self._end("the peer has begun anew")
        if answer:
            self._establish()
            self._say(answer)

    def _on_cookie_ack(self, flags: int, value: bytes, now: float) -> None:
        self._handshake.cookie_ack()
        self._establish()

    def _on_sack(self, flags: int, value: bytes, now: float) -> None:
        if self.sender is not None and not self.sender.acknowledge(Sack.decode(value), now):
            self.abort("the peer acknowledged what was never sent")

    def _on_heartbeat(self, flags: int, value: bytes, now: float) -> None:
        self._say(chunks.encode(chunks.HEARTBEAT_ACK, value))

    def _on_error(self, flags: int, value: bytes, now: float) -> None:
        if any(cause == parameters.STALE_COOKIE for cause, _ in parameters.decode_all(value)):
            self._handshake.stale(now)

    def _on_reconfig(self, flags: int, value: bytes, now: float) -> None:
        if self._reset is not None and self.receiver is not None:
            self._perform(self._reset.receive(value, self.receiver.tsns.cumulative))

    def _on_forward(self, flags: int, value: bytes, now: float, *, interleaved: bool = False) -> None:
        if self.receiver is None:
            return
        tsn, skipped = chunks.decode_forward(value, interleaved=interleaved)
        if interleaved != self.receiver.interleaved:
            return
        try:
            messages = self.receiver.forward(tsn, skipped)
        except DecodeError as error:
            self.abort(str(error))
            return
        for message in messages:
            self.channels.receive(message)

    def _on_i_forward(self, flags: int, value: bytes, now: float) -> None:
        self._on_forward(flags, value, now, interleaved=True)

    def _on_shutdown(self, flags: int, value: bytes, now: float) -> None:
        if len(value) != 4 or self.sender is None:
            raise DecodeError("a SHUTDOWN does not have four bytes")
        self._shutdown.received()
        self.sender.acknowledge(Sack(int.from_bytes(value), self.sender.peer_window), now)

    def _perform(self, resets: list[Reset]) -> None:
        for one in resets:
            if one.ours:
                self.channels.reset_done(one.streams)
            elif self.receiver is not None:
                for stream in one.streams:
                    self.receiver.reset(stream)
                self.channels.peer_reset(one.streams)

    # -- inside: beginning and end

    def _establish(self) -> None:
        agreement = self._handshake.agreement
        if agreement is None or self.sender is not None or self.over:
            return
        features = agreement.features
        self.queue.interleaved = features.interleaving
        self.queue.begun_most = min(BEGUN_MOST, agreement.peer_window // 2)
        self.receiver = Receiver(agreement.peer_tsn, interleaved=features.interleaving)
        self.sender = self._make_sender(agreement)
        self._reset = StreamReset(self._handshake.first_tsn, agreement.peer_tsn)
        self.channels.established(self._reset, agreement.streams, can_reset=features.reset)
        self._expected = packet.head(self._handshake.tag) + bytes(4)
        self.told.append(("on_established", ()))

    def _make_sender(self, agreement: Agreement) -> Sender:
        features = agreement.features
        builder = Builder(
            agreement.peer_tag,
            interleaved=features.interleaving,
            zero_checksum=features.zero_checksum,
            mtu=self._mtu,
        )
        return Sender(
            self.queue,
            builder,
            self._handshake.first_tsn,
            agreement.peer_window,
            interleaved=features.interleaving,
        )

    def _check_end(self) -> None:
        if self._shutdown.over:
            if self._control and self._handshake.peer_tag:
                made = packet.seal(packet.head(self._handshake.peer_tag), b"".join(self._control))
                self._last_words.append((made, len(made)))
            self._end(self._shutdown.over)

    def _end(self, reason: str) -> None:
        if self.over:
            return
        self.over = reason
        self.channels.end(reason)
        self.queue.clear()
        if self.sender is not None:
            self.sender.flight.clear()
        self.told.append(("on_closed", (reason,)))


def _ignore(flags: int, value: bytes, now: float) -> None:
    """Nothing is to be done."""
