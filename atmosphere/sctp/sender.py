"""The sending half: what waits, what is on its way, and how much more may follow. Pure: `now` in, bursts out."""

from __future__ import annotations

from atmosphere.sctp.build import Builder, Burst
from atmosphere.sctp.chunks import Sack
from atmosphere.sctp.congestion import Congestion, LossJudge
from atmosphere.sctp.cubic import Cubic
from atmosphere.sctp.flight import LOST, RESENT, SENT, Acked, Flight
from atmosphere.sctp.limited import Abandonment
from atmosphere.sctp.outgoing import OutgoingQueue
from atmosphere.sctp.pacing import Pacer
from atmosphere.sctp.received import unwrap
from atmosphere.sctp.recovery import Recovery

SILENT = 2
"""Timeouts in a row after which large packets are taken to vanish."""


class Sender:
    """Sends the messages of `queue`; made when the peer's tag, window and features are known."""

    def __init__(
        self, queue: OutgoingQueue, builder: Builder, first_tsn: int, peer_window: int, *, interleaved: bool
    ) -> None:
        self.queue = queue
        self.builder = builder
        self.flight = Flight(first_tsn)
        self.recovery = Recovery()
        self.congestion: Congestion = Cubic(builder.mtu)
        self.abandonment = Abandonment(self.flight, queue, interleaved=interleaved)
        self.peer_window = peer_window
        self.sent = self.resent = 0
        """Packets that were sent, and chunks that were sent again."""
        self._judge = LossJudge(builder.mtu)
        self._pacer = Pacer(builder.mtu)
        self._paced = False
        self._round_end = first_tsn
        self._shortest = float("inf")
        self._recover = first_tsn
        """Losses below it were answered by the congestion controller already."""
        self._steady = first_tsn
        """The window does not grow while the acknowledged are below it: fast recovery (RFC 9260 section 7.2.4)."""
        self._probe: int | None = None
        self.vanish = False
        """Whether large packets seem not to arrive."""

    @property
    def outstanding(self) -> bool:
        """Whether something is sent, or waits to be, that the peer has not acknowledged."""
        return bool(self.flight or self.queue)

    @property
    def has_work(self) -> bool:
        """Whether `transmit` may have something to send."""
        return bool(self.queue or self.flight.lost or self._probe is not None or self.abandonment.is_owed)

    # -- what comes in

    def acknowledge(self, sack: Sack, now: float) -> bool:
        """Take in a SACK; False for one that acknowledges what was never sent."""
        flight, recovery = self.flight, self.recovery
        cumulative = unwrap(sack.cumulative, flight.base)
        if cumulative >= flight.next or (sack.gaps and cumulative + sack.gaps[-1][1] >= flight.next):
            return False
        if cumulative < flight.base - 1:
            return True
        held = flight.outstanding + flight.lost * self.builder.body + self._worth
        # In slow start half a window is enough: pacing lets the other half go just as the answers come in.
        full = held * (2 if self.congestion.is_slow_start else 1) > self.congestion.window
        if sack.duplicates:
            recovery.reordered()
        acked = flight.acknowledge(cumulative, sack.gaps)
        # The peer counts its window from the cumulative TSN, so what it holds beyond that is in it already.
        self.peer_window = sack.window
        self.abandonment.answered()
        if acked.size or acked.highest:
            self._progress(acked, now, full=full)
        self._lose(recovery.detect(flight, now), now)
        self.vanish = self.builder.body > flight.fits_anywhere and flight.large_vanished > flight.large_acked
        if not flight:
            recovery.disarm()
        return True

    def set_mtu(self, size: int) -> None:
        """Make packets of at most so many bytes from now on."""
        self.builder.set_mtu(size)
        self.flight.large_vanished = float("-inf")
        self.congestion.mtu = size
        self._judge.mtu = self._pacer.mtu = size

    def handle_timer(self, now: float) -> None:
        """Do what is due by now."""
        what = self.recovery.due(self.flight, now)
        if what == "probe":
            self.probe()
        elif what == "reorder":
            self._lose(self.recovery.detect(self.flight, now), now)
        elif what == "timeout":
            self.vanish = self.builder.body > self.flight.fits_anywhere and self.recovery.timeouts >= SILENT
            if self.flight.lose_all():
                self.congestion.timed_out()
            self.abandonment.repeat()
            self._begin_again()
            self._pacer.update(self.congestion.window, None, now, slow_start=True)

    def deadline(self) -> float | None:
        """When to call `handle_timer` and `transmit`; None for never."""
        timer = self.recovery.deadline(self.flight)
        pace = self._pacer.deadline() if self._paced else None
        return timer if pace is None or (timer is not None and timer < pace) else pace

    def probe(self) -> None:
        """Send the last that is unacknowledged once more, so that the peer says something."""
        self._probe = self.flight.last_outstanding()
        if self._probe is None:
            self._probe = self.flight.first_lost()

    def moved(self, now: float) -> None:
        """The path is another one: send again at once what is unacknowledged, without taking it for congestion."""
        self.congestion.moved()
        self.recovery.moved()
        self._shortest = float("inf")
        self.flight.lose_all()
        self.abandonment.repeat()
        self._begin_again()
        self._pacer.update(self.congestion.window, None, now, slow_start=True)
        if self.flight:
            self.recovery.arm(now)

    # -- what goes out

    def transmit(self, now: float, control: bytes = b"") -> list[Burst]:
        """What may be sent now; `control` are chunks that go with the first packet, or alone."""
        bursts: list[Burst] = []
        self._paced = False
        if self._probe is not None:
            probe, self._probe = self._probe, None
            if probe >= self.flight.base and self.flight.state[probe - self.flight.base] in (SENT, LOST, RESENT):
                bursts += self.builder.bundle([self.flight.resend(probe, now)])
        if self.abandonment.is_owed and (forward := self.abandonment.forward()) is not None:
            control += forward
            self.recovery.arm(now)
        if self.flight.lost:
            bursts += self._resend(now)
        if not self.flight.lost and self.queue and (packets := self._room(now)):
            made, batches = self.builder.build(self.queue, self.flight.next, packets, now, control)
            control = b"" if made else control
            if batches and not self.flight:
                self.recovery.arm(now)
            for batch in batches:
                self.flight.add(batch)
            bursts += made
            self._pacer.spend(sum(len(data) for data, _ in made))
        if control:
            bursts = self.builder.bundle([control]) + bursts
        for data, segment in bursts:
            self.sent += -(-len(data) // segment)
        return bursts

    def _resend(self, now: float) -> list[Burst]:
        chunks: list[bytes] = []
        flight = self.flight
        was_idle = not flight.outstanding
        while (tsn := flight.first_lost()) is not None:
            if self.abandonment.give_up_or_resend(tsn, now):
                # One packet may go even when the windows are closed, or nothing would ever open them again.
                if flight.outstanding and not self._may_resend(now, flight.batch(tsn).size):
                    break
                chunk = flight.resend(tsn, now)
                chunks.append(chunk)
                self._pacer.spend(len(chunk))
        self.resent += len(chunks)
        if chunks and was_idle:
            self.recovery.arm(now)
        if self.abandonment.is_owed and (forward := self.abandonment.forward()) is not None:
            chunks.insert(0, forward)
        return self.builder.bundle(chunks)

    def _may_resend(self, now: float, size: int) -> bool:
        if self.flight.outstanding + size > self.congestion.window:
            return False
        if self._pacer.allowance(now) < min(size, self.builder.body):  # what goes in pieces is more than a bucket holds
            self._paced = True
            return False
        return True

    def _room(self, now: float) -> int:
        """Packets that may be sent in one burst."""
        body, outstanding = self.builder.body, self.flight.outstanding
        room = min(self.congestion.window, self.peer_window) - outstanding
        most = self.builder.most
        if room < body:
            return 0 if self.flight else 1  # one packet asks a closed window whether it is open (RFC 9260 section 6.1)
        packets = int(room // body)
        if room < self._worth < outstanding / 4 and self.queue.buffered > self._worth:
            return 0  # a few acknowledgements more, and a whole burst goes out
        allowance = self._pacer.allowance(now)
        if allowance < body:
            self._paced = True
            return 0
        return min(packets, most, int(min(allowance, 1e9) // body))

    @property
    def _worth(self) -> int:
        """Bytes worth waiting for while many are on their way: a window that opens by a packet is filled in bursts."""
        return self.builder.most * self.builder.body // 2

    def _lose(self, size: int, now: float) -> None:
        if size and self.flight.base >= self._recover and self._judge.lost(size):
            self._recover = self._steady = self.flight.next
            self._judge.answered()
            self.congestion.lost(now)

    def _begin_again(self) -> None:
        """Everything on its way is sent again, in slow start: the window grows with what arrives of it."""
        self._recover, self._steady = self.flight.next, self.flight.base

    def _progress(self, acked: Acked, now: float, *, full: bool) -> None:
        recovery = self.recovery
        recovery.acknowledged(acked, now)
        recovery.arm(now)
        self._judge.arrived(acked.size)
        if acked.latest is not None:
            self._shortest = min(self._shortest, recovery.latest)
            if full:
                self.congestion.sampled(recovery.latest, recovery.least)
        if self.flight.base >= self._steady:
            self.congestion.acknowledged(acked.size, now, recovery.smoothed or recovery.latest, full=full)
        if self.flight.base > self._round_end:
            if self._shortest < float("inf"):
                self._judge.round_ended(self._shortest, recovery.least)
                self.congestion.round_ended(self._shortest, recovery.least)
            self._round_end, self._shortest = self.flight.next, float("inf")
        self._pacer.update(self.congestion.window, recovery.smoothed, now, slow_start=self.congestion.is_slow_start)
