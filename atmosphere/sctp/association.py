"""An SCTP association with data channels, whole and pure: bursts and `now` in; bursts, events and a deadline out.

What happened is in `told`, as the name of a method of `AssociationEvents` and its arguments. The parts are wired here
and know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Callable

from atmosphere.sctp import chunks, packet, parameters
from atmosphere.sctp.arriving import Arriving
from atmosphere.sctp.build import Builder, Burst
from atmosphere.sctp.datachannels import DataChannels, Told
from atmosphere.sctp.handshake import Agreement, Handshake
from atmosphere.sctp.outgoing import BEGUN_MOST, OutgoingQueue
from atmosphere.sctp.parameters import Features
from atmosphere.sctp.pathmtu import PathMtu
from atmosphere.sctp.pieces import Joiner
from atmosphere.sctp.receiver import Receiver
from atmosphere.sctp.reset import StreamReset
from atmosphere.sctp.sender import Sender
from atmosphere.sctp.shutdown import Shutdown

MAX_CONTROL = 600
"""Bytes of other chunks that share a packet with data."""


class Association(Arriving):
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
        self.path_mtu: PathMtu | None = None
        """The search for a larger size of packets, where there is one."""
        self._client = client
        self._random = random
        self._mtu = mtu
        self._offered = offered or Features()
        self._handshake = Handshake(random, self._offered)
        self._reset: StreamReset | None = None
        self._shutdown = Shutdown()
        self._control: list[bytes] = []
        self._joiner: Joiner | None = None
        self._last_words: list[Burst] = []
        self._expected = b""
        self._data_came = False

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

    def presume(self, secret: bytes, *, search: bool = False) -> None:
        """Stand at once: both sides know `secret`, and that the other does this too, so it is one of our own.

        `search`: what `probe_path` gives is sent unfragmented, so larger packets can be found out.
        """
        self._handshake.presume(secret, client=self._client)
        self._joiner = Joiner()
        self._establish()
        if search and self.sender is not None:
            self.path_mtu = PathMtu(self._random, self._mtu)
            self.sender.flight.fits_anywhere = self._mtu - packet.HEADER

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
            if self.path_mtu is not None:
                self.path_mtu.moved()
                self.sender.set_mtu(self.path_mtu.size)
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
        self._check_size(now)
        self._check_end()

    def deadline(self) -> float | None:
        """When `handle_timer` and `transmit` are to be called; None for never."""
        if self.over:
            return None
        soonest = self._handshake.deadline()
        if self.sender is None or self.receiver is None or self._reset is None:
            return soonest
        for time in (
            self.sender.deadline(),
            self.receiver.acknowledgement.deadline(),
            self._reset.deadline(),
            self._shutdown.deadline(),
        ):
            if time is not None and (soonest is None or time < soonest):
                soonest = time
        if self.path_mtu is not None and self.path_mtu.due < (soonest or float("inf")):
            soonest = self.path_mtu.due
        return soonest

    # -- what goes out

    def transmit(self, now: float) -> list[Burst]:
        """What may be sent now, in bursts; call it again until there is nothing."""
        sender, receiver, reset = self.sender, self.receiver, self._reset
        if sender is None or receiver is None or reset is None or self.over:
            return self._without_data()
        acknowledgement = receiver.acknowledgement
        going = bool(self.queue) or sender.flight.lost > 0
        report = acknowledgement.may_ride(now) if going else acknowledgement.is_due(now)
        control = self._control
        if control or reset.has_work(now) or self._shutdown.is_ending:
            control = self._other_control(sender, receiver, reset, now)
        elif not report and not sender.has_work:
            return self._handshake.packets_as_bursts()
        bursts = self._handshake.packets_as_bursts()
        if report:
            control = [*control, receiver.sack(now)]
        chunks_first = b"".join(control)
        if len(chunks_first) > MAX_CONTROL:
            bursts += sender.builder.bundle(control)
            chunks_first = b""
        bursts += sender.transmit(now, chunks_first)
        if self.path_mtu is not None:
            for data, _ in bursts:
                self.path_mtu.carried(len(data), now)
        self.channels.drained()
        return bursts

    def probe_path(self, now: float) -> bytes:
        """A packet that is to be sent now without being fragmented on its way, or nothing (RFC 8899)."""
        if self.path_mtu is None or now < self.path_mtu.due or self.sender is None or self.over:
            return b""
        chunk = self.path_mtu.probe(now)
        return self.sender.builder.bundle([chunk], whole=True)[0][0] if chunk else b""

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

    def _check_size(self, now: float) -> None:
        """Send smaller packets where large ones vanish (RFC 8899 section 4.3)."""
        if self.path_mtu is not None and self.sender is not None and self.sender.vanish:
            self.sender.vanish = False
            self.path_mtu.shrunk(now)
            self.sender.set_mtu(self.path_mtu.size)

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
