"""The sending half of the hardened association: how much is in flight, and what the timers do.

Contained here: timers without back-off and with tasks, a first retransmission after three seconds, a window without
a bound, a peer's receive window that is ignored, jumps of the wall clock taken for round-trip times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atmosphere.sctp.base import MODULO, WINDOW_MOST, run
from atmosphere.sctp.library import SackChunk
from atmosphere.sctp.receiving import REPORT_EVERY, ReceivingTransport

HANDSHAKE_RESEND, HANDSHAKE_RESEND_MOST, HANDSHAKE_TRIES = 0.4, 1.0, 30
RTO_LEAST, RTO_MOST = 0.4, 3.0
PROBE_LEAST = 0.02
SMALL_FLIGHT = 4
SEGMENT = 1160
"""Bytes of a message in one packet."""
INITIAL_WINDOW = 4 * SEGMENT
"""Bytes in flight when a path is new (RFC 9260 section 7.2.1)."""


class SendingTransport(ReceivingTransport):
    """An association that sends with care."""

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        if chunk.cumulative_tsn != self._last_sacked_tsn:
            self._timeouts, self._window_before = 0, None
        self._scan = self._scan or bool(chunk.gaps)
        self._cwnd = min(self._cwnd, WINDOW_MOST, max(chunk.advertised_rwnd, 4096))
        if chunk.gaps and (self._probed or (len(self._sent_queue) <= SMALL_FLIGHT and not self._outbound_queue)):
            self._expect_loss((chunk.cumulative_tsn + chunk.gaps[-1][1]) % MODULO)
        elif not chunk.gaps:
            self._probed = False
        newly, window = (chunk.cumulative_tsn - self._last_sacked_tsn) % MODULO, self._cwnd
        await super()._receive_sack_chunk(chunk)
        if window < self._cwnd <= self._ssthresh and newly > 1:
            # Slow start counts what was acknowledged, not how often (RFC 3465): acknowledgements come for several.
            self._cwnd = min(self._cwnd + (min(newly, REPORT_EVERY) - 1) * SEGMENT, WINDOW_MOST)

    def _expect_loss(self, highest: int) -> None:
        """Take what is missing before `highest` for lost without two more reports that may never come (RFC 5827)."""
        self._probed = False
        for sent in self._sent_queue:
            if (highest - sent.tsn) % MODULO >= MODULO // 2:
                break
            sent._misses = max(sent._misses, 2)

    def _probe(self) -> None:
        """Two round trips of silence: send the last packet again, and its report tells what is lost (RFC 8985)."""
        self._probe_handle = None
        self.probe()

    def probe(self) -> None:
        """Send the last unacknowledged packet again."""
        if self._sent_queue and self.established and not self._sent_queue[-1]._abandoned:
            self._probed = True
            self._sent_queue[-1]._sent_count += 1
            run(self._send_chunk(self._sent_queue[-1]))

    async def _transmit(self) -> None:
        """As aiortc's, which always looks through all that is in flight; that is needed only after a loss."""
        if self._scan or self._forward_tsn_chunk is not None or self._fast_recovery_exit is not None:
            self._scan = any(chunk._retransmit for chunk in self._sent_queue)
            await super()._transmit()
            return
        in_flight, self._sent_queue = self._sent_queue, type(self._sent_queue)()
        try:
            await super()._transmit()
        finally:
            in_flight.extend(self._sent_queue)
            self._sent_queue = in_flight

    def kick(self) -> None:
        """Send again at once what is unacknowledged, without taking it for congestion.

        After an outage the new path is met with the window of a beginning, and with the old one as the limit of slow
        start: the outage said nothing about how much the path carries.
        """
        self._reconfig_failures = 0
        if self._reconfig_request is not None:
            self._reconfig_timer_cancel()
            self._reconfig_timer_expired()
        if self._t1_handle is not None:
            self._t1_handle.cancel()
            self._t1_expired()
        elif self._sent_queue and self.established:
            before, half = self._window_before, max(self._cwnd // 2, SEGMENT)
            self._t3_cancel()
            self._send_again(half if before is None else INITIAL_WINDOW)
            self._ssthresh = max(self._ssthresh, half if before is None else before)
            self._timeouts = 0
            self._t3_restart()

    def _later(self, delay: float, callback: Callable[[], None]) -> Any:
        return self._loop.call_later(delay, callback)

    def _t1_start(self, chunk: Any) -> None:
        self._t1_cancel()
        self._t1_chunk, self._t1_failures = chunk, 0
        self._t1_handle = self._later(HANDSHAKE_RESEND, self._t1_expired)

    def _t1_expired(self) -> None:
        self._t1_handle = None
        self._t1_failures += 1
        if self._t1_failures > HANDSHAKE_TRIES:
            self._end("the peer does not answer")
            return
        delay = min(HANDSHAKE_RESEND * 1.2**self._t1_failures, HANDSHAKE_RESEND_MOST)
        self._t1_handle = self._later(delay, self._t1_expired)
        if self._t1_chunk is not None:
            run(self._send_chunk(self._t1_chunk))

    def _t3_delay(self) -> float:
        return float(min(self._rto * 2**self._timeouts, RTO_MOST))

    def _t3_start(self) -> None:
        self._t3_restart()

    def _t3_restart(self) -> None:
        self._t3_cancel()
        delay = self._t3_delay()
        self._t3_handle = self._later(delay, self._t3_expired)
        if self._probe_handle is not None:
            self._probe_handle.cancel()
        self._probe_handle = None
        if self._timeouts == 0 and self._srtt is not None and (probe := 2 * self._srtt + PROBE_LEAST) < delay:
            self._probe_handle = self._later(probe, self._probe)

    def _t3_expired(self) -> None:
        """As aiortc's, with back-off (RFC 9260 section 6.3.3, E2) and without a task."""
        self._send_again(SEGMENT)

    def _send_again(self, window: int) -> None:
        """Take all that is in flight for lost, and begin to send it again within `window` bytes."""
        self._t3_handle = None
        if self._window_before is None:
            self._window_before = self._cwnd
        self._timeouts = min(self._timeouts + 1, 8)
        for chunk in list(self._sent_queue):
            if not self._maybe_abandon(chunk):
                chunk._retransmit = not chunk._acked
            self._flight_size_decrease(chunk)
        self._update_advanced_peer_ack_point()
        self._fast_recovery_exit = None
        self._partial_bytes_acked = 0
        self._ssthresh = max(self._cwnd // 2, 4 * SEGMENT)
        self._cwnd = window
        self._scan = True
        run(self._transmit())
        if self._sent_queue and self._t3_handle is None:
            self._t3_restart()

    def _reconfig_timer_expired(self) -> None:
        """As aiortc's, without a task and without an end: whether the peer lives is for ICE to say."""
        self._reconfig_handle = None
        if self._reconfig_request is None:
            return
        self._reconfig_failures = min(self._reconfig_failures + 1, 8)
        delay = min(self._rto * 2**self._reconfig_failures, RTO_MOST)
        self._reconfig_handle = self._later(delay, self._reconfig_timer_expired)
        run(self._send_reconfig_param(self._reconfig_request))

    def _update_rto(self, R: float) -> None:
        """As aiortc's with a smaller least value, and deaf to jumps of the wall clock."""
        super()._update_rto(min(max(R, 0.001), RTO_MOST))
        self._rto = min(max((self._srtt or 0) + 4 * (self._rttvar or 0), RTO_LEAST), RTO_MOST)
