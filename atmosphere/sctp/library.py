"""aiortc's SCTP, hardened: the one place that imports aiortc (slow and large, so import this module late).

Only its chunk machinery is used: handshake, congestion control, retransmission, reassembly, stream reset. Its data
channels are not; `association` has ours. Every private name used here is pinned by tests/sctp/test_private_names.py.

aiortc's handlers are coroutines that never wait, because what they await is `_Wire._send_data`; so they are run to
their end on the spot (`_run`), packets are handled strictly one after the other, and no task is ever started.

What stock aiortc gets wrong and this contains: a repeated INIT resets an association that is up; malformed chunks
raise or loop; timers do not back off; wall-clock jumps become round-trip times; received ranges and reassembly grow
without a bound; a SACK may name packets that were never sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from aiortc.rtcsctptransport import (
    AbortChunk,
    DataChunk,
    ForwardTsnChunk,
    InitAckChunk,
    InitChunk,
    RTCSctpTransport,
    SackChunk,
    ShutdownAckChunk,
    ShutdownChunk,
    parse_packet,
)

from atmosphere.errors import DecodeError
from atmosphere.sctp import packets

logger = logging.getLogger(__name__)

PORT = 5000
HANDSHAKE_RESEND, HANDSHAKE_RESEND_MOST, HANDSHAKE_TRIES = 0.4, 1.0, 30
RTO_LEAST, RTO_MOST = 0.4, 3.0
WINDOW_MOST = 1024 * 1024
"""Bytes sent and not acknowledged, at most; it keeps what SCTP holds small and its queue short."""
MAX_AHEAD = 16384
"""How far ahead of the last packet in order one may be."""
MAX_HELD = 8192
"""DATA chunks waiting for others of their message, or for messages before them."""
OVERDRAFT = 320 * 1024
MAX_INBOUND_STREAMS = 2048
MAX_REPORTED_RANGES, MAX_REPORTED_DUPLICATES = 240, 16
_MODULO = 2**32
_States = RTCSctpTransport.State
_BEFORE_TAG = (_States.CLOSED, _States.COOKIE_WAIT)


class Owner(Protocol):
    """What the transport tells the association."""

    def transport_established(self) -> None:
        """The handshake is complete."""
        ...

    def transport_closed(self, reason: str) -> None:
        """The association is over."""
        ...

    def transport_message(self, stream: int, protocol: int, data: bytes) -> None:
        """A whole message came in."""
        ...

    def transport_room(self) -> None:
        """The queue to the network is empty: the next message may be handed over."""
        ...

    def transport_stream_reset(self, stream: int) -> None:
        """The peer closed a data channel."""
        ...

    def transport_stream_closed(self, stream: int) -> None:
        """A data channel is closed in both directions."""
        ...


class _Wire:
    """What aiortc wants of a DTLS transport, and nothing more."""

    state = "connected"

    def __init__(self, *, client: bool, send: Callable[[bytes], None]) -> None:
        self._role = "client" if client else "server"
        self._send = send

    async def _send_data(self, data: bytes) -> None:
        self._send(data)


class Stream:
    """What aiortc wants to know of a data channel."""

    __slots__ = ("id",)

    negotiated = True
    readyState = "open"

    def __init__(self, stream: int) -> None:
        self.id = stream


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run one of aiortc's coroutines to its end, here and now."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("aiortc waited for something; its coroutines are expected never to")


class SctpTransport(RTCSctpTransport):  # type: ignore[misc]
    """One SCTP association over `send`; `handle` takes the packets."""

    def __init__(self, *, client: bool, send: Callable[[bytes], None], owner: Owner) -> None:
        super().__init__(_Wire(client=client, send=send), PORT)
        self._owner = owner
        self._remote_port = PORT
        self._rto = 1.0
        self._ssthresh = WINDOW_MOST
        self._timeouts = 0
        self._held = 0
        self._scan = False
        self._over = False
        self._end_reason = "the association failed"

    # -- what the association does

    @property
    def established(self) -> bool:
        """Whether data may be sent."""
        return bool(self._association_state == _States.ESTABLISHED)

    @property
    def over(self) -> bool:
        """Whether the association has ended; it never comes back."""
        return self._over

    @property
    def outstanding(self) -> bool:
        """Whether something is sent, or about to be, and not acknowledged."""
        return bool(self._sent_queue or self._outbound_queue)

    @property
    def busy(self) -> bool:
        """Whether earlier messages still wait for the congestion window."""
        return bool(self._outbound_queue)

    def begin(self) -> None:
        """Send our INIT."""
        if not self._over and self._association_state == _States.CLOSED:
            _run(self._init())

    def handle(self, packet: bytes) -> None:
        """Take one packet; anything that is not a proper SCTP packet of this association is dropped."""
        try:
            packets.check(packet)
            _, _, tag, chunks = parse_packet(packet)
        except (DecodeError, ValueError) as error:
            logger.debug("dropped a packet: %s", error)
            return
        if tag != (0 if any(isinstance(chunk, InitChunk) for chunk in chunks) else self._local_verification_tag):
            return
        for chunk in chunks:
            if self._welcome(chunk):
                _run(self._receive_chunk(chunk))
        if self._sack_needed and not self._over:
            _run(self._send_sack())

    def transmit(self, stream: int, protocol: int, data: bytes, **how: Any) -> None:
        """Hand one message to SCTP (`how`: ordered, max_retransmits, expiry as wall-clock seconds)."""
        _run(self._send(stream, protocol, data, **how))

    def reset(self, stream: int) -> None:
        """Close our direction of a data channel after what was handed over for it."""
        self._reconfig_queue.append(stream)
        _run(self._transmit_reconfig())

    def add(self, stream: int) -> None:
        """A data channel exists from now on."""
        self._data_channels[stream] = Stream(stream)

    def forget(self, stream: int) -> None:
        """A data channel does not exist any more."""
        self._data_channels.pop(stream, None)

    def knows(self, stream: int) -> bool:
        """Whether a data channel exists."""
        return stream in self._data_channels

    @property
    def stream_count(self) -> int:
        """How many streams both sides allow."""
        return int(min(self._outbound_streams_count, self._inbound_streams_count or self._outbound_streams_count))

    def kick(self) -> None:
        """Send again at once what is unacknowledged, without taking it for congestion."""
        self._timeouts = 0
        if self._t1_handle is not None:
            self._t1_handle.cancel()
            self._t1_expired()
        elif self._sent_queue and self.established:
            window = self._cwnd
            self._t3_cancel()
            self._t3_expired()
            self._cwnd = max(self._cwnd, window // 2)

    def abort(self, reason: str) -> None:
        """Send ABORT with `reason` and be closed."""
        if self._over:
            return
        chunk = AbortChunk()
        chunk.params.append(packets.abort_cause(reason))
        _run(self._send_chunk(chunk))
        self._end(reason)

    def _end(self, reason: str) -> None:
        self._end_reason = reason
        self._set_state(_States.CLOSED)

    # -- what comes in

    def _welcome(self, chunk: Any) -> bool:
        """Whether a chunk makes sense in this state."""
        if self._over:
            return False
        if isinstance(chunk, InitChunk):
            return not self.established and bool(
                chunk.initiate_tag and chunk.inbound_streams and chunk.outbound_streams
            )
        if isinstance(chunk, InitAckChunk):
            return bool(chunk.initiate_tag and chunk.inbound_streams and chunk.outbound_streams)
        if isinstance(chunk, SackChunk):
            return self._plausible(chunk)
        if isinstance(chunk, DataChunk | ForwardTsnChunk):
            return self._last_received_tsn is not None and self._association_state not in _BEFORE_TAG
        return True

    def _plausible(self, sack: SackChunk) -> bool:
        """Whether a SACK is only about packets that were sent."""
        sent = (self._local_tsn - self._last_sacked_tsn - 1) % _MODULO
        newly = (sack.cumulative_tsn - self._last_sacked_tsn) % _MODULO
        if self._association_state in _BEFORE_TAG:
            return False
        if newly >= _MODULO // 2:
            return True
        return newly <= sent and (not sack.gaps or newly + sack.gaps[-1][1] <= sent)

    async def _receive_chunk(self, chunk: Any) -> None:
        if isinstance(chunk, InitChunk):
            await self._receive_init(chunk)
        elif isinstance(chunk, AbortChunk):
            self._end(packets.abort_reason(chunk.params) or "aborted by the peer")
        elif isinstance(chunk, ShutdownChunk):
            await self._send_chunk(ShutdownAckChunk())
            self._end("closed by the peer")
        else:
            await super()._receive_chunk(chunk)

    async def _receive_init(self, chunk: InitChunk) -> None:
        """Answer an INIT; a repeated one must not put the receiving side back to its beginning."""
        before = self._last_received_tsn, self._reconfig_response_seq
        repeated = chunk.initiate_tag == self._remote_verification_tag
        await super()._receive_chunk(chunk)
        if repeated and before[0] is not None:
            self._last_received_tsn, self._reconfig_response_seq = before

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        self._owner.transport_message(stream_id, pp_id, data)

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        ahead = (chunk.tsn - self._last_received_tsn) % _MODULO
        if 1 < ahead < _MODULO // 2 and (ahead > MAX_AHEAD or self._full(0)):
            self._sack_needed = True
            return
        if ahead == 1 and self._full(OVERDRAFT):
            self.abort("a message is too large")
            return
        if not self._may_have_stream(chunk.stream_id):
            self.abort("too many streams")
            return
        self._held += 1
        await super()._receive_data_chunk(chunk)

    async def _receive_forward_tsn_chunk(self, chunk: ForwardTsnChunk) -> None:
        if (chunk.cumulative_tsn - self._last_received_tsn) % _MODULO > 4 * MAX_AHEAD:
            self._sack_needed = True
        elif all(self._may_have_stream(stream) for stream, _ in chunk.streams):
            await super()._receive_forward_tsn_chunk(chunk)

    def _may_have_stream(self, stream: int) -> bool:
        return stream in self._inbound_streams or len(self._inbound_streams) < MAX_INBOUND_STREAMS

    def _full(self, overdraft: int) -> bool:
        """Whether what waits for reassembly fills the window, by bytes or by chunks."""
        if self._held >= MAX_HELD:
            self._held = sum(len(stream.reassembly) for stream in self._inbound_streams.values())
        return self._advertised_rwnd <= -overdraft or self._held >= MAX_HELD + overdraft // 256

    def _mark_received(self, tsn: int) -> bool:
        """Whether a TSN was seen before; as aiortc's, without sorting all that is ahead for every packet."""
        ahead = (tsn - self._last_received_tsn) % _MODULO
        if ahead == 0 or ahead >= _MODULO // 2 or tsn in self._sack_misordered:
            if len(self._sack_duplicates) < MAX_REPORTED_DUPLICATES:
                self._sack_duplicates.append(tsn)
            return True
        self._sack_misordered.add(tsn)
        following = (self._last_received_tsn + 1) % _MODULO
        while following in self._sack_misordered:
            self._sack_misordered.discard(following)
            self._last_received_tsn = following
            following = (following + 1) % _MODULO
        return False

    async def _send_sack(self) -> None:
        """Acknowledge; as aiortc's, but never larger than a packet."""
        gaps: list[tuple[int, int]] = []
        for position in sorted((tsn - self._last_received_tsn) % _MODULO for tsn in self._sack_misordered):
            if gaps and gaps[-1][1] == position - 1:
                gaps[-1] = (gaps[-1][0], position)
            elif len(gaps) < MAX_REPORTED_RANGES:
                gaps.append((position, position))
            else:
                break
        sack = SackChunk()
        sack.cumulative_tsn = self._last_received_tsn
        sack.advertised_rwnd = max(0, self._advertised_rwnd)
        sack.gaps, sack.duplicates = gaps, self._sack_duplicates[:]
        self._sack_duplicates.clear()
        self._sack_needed = False
        await self._send_chunk(sack)

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        if chunk.cumulative_tsn != self._last_sacked_tsn:
            self._timeouts = 0
        self._scan = self._scan or bool(chunk.gaps)
        self._cwnd = min(self._cwnd, WINDOW_MOST, max(chunk.advertised_rwnd, 4096))
        await super()._receive_sack_chunk(chunk)

    # -- what goes out

    async def _transmit(self) -> None:
        """As aiortc's, which looks through all that is in flight for every message; that is needed only after a loss."""
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

    async def _data_channel_flush(self) -> None:
        self._owner.transport_room()
        await self._transmit_reconfig()

    def _data_channel_close(self, channel: Stream) -> None:
        """The peer reset a channel's stream, so ours is reset too (RFC 8831 section 6.7)."""
        self._owner.transport_stream_reset(channel.id)

    def _data_channel_closed(self, stream_id: int) -> None:
        self._data_channel_inbound_reset.discard(stream_id)
        self._data_channel_outbound_reset.discard(stream_id)
        if self._data_channels.pop(stream_id, None) is not None:
            self._owner.transport_stream_closed(stream_id)

    # -- states and timers

    def _set_state(self, state: Any) -> None:
        before, self._association_state = self._association_state, state
        if state == _States.CLOSED:
            self._reconfig_timer_cancel()
            self._t1_cancel()
            self._t2_cancel()
            self._t3_cancel()
            if not self._over:
                self._over = True
                self._owner.transport_closed(self._end_reason)
        elif state == _States.ESTABLISHED and before != state:
            self._owner.transport_established()

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
        _run(self._send_chunk(self._t1_chunk))

    def _t3_delay(self) -> float:
        return float(min(self._rto * 2**self._timeouts, RTO_MOST))

    def _t3_start(self) -> None:
        self._t3_restart()

    def _t3_restart(self) -> None:
        self._t3_cancel()
        self._t3_handle = self._later(self._t3_delay(), self._t3_expired)

    def _t3_expired(self) -> None:
        """As aiortc's, with back-off (RFC 9260 section 6.3.3, E2) and without a task."""
        self._t3_handle = None
        self._timeouts = min(self._timeouts + 1, 8)
        for chunk in list(self._sent_queue):
            if not self._maybe_abandon(chunk):
                chunk._retransmit = not chunk._acked
            self._flight_size_decrease(chunk)
        self._update_advanced_peer_ack_point()
        self._fast_recovery_exit = None
        self._partial_bytes_acked = 0
        self._ssthresh = max(self._cwnd // 2, 4 * 1160)
        self._cwnd = 1160
        self._scan = True
        _run(self._transmit())
        if self._sent_queue and self._t3_handle is None:
            self._t3_restart()

    def _reconfig_timer_expired(self) -> None:
        """As aiortc's, without a task and without an end: whether the peer lives is for ICE to say."""
        self._reconfig_handle = None
        self._reconfig_failures = min(self._reconfig_failures + 1, 8)
        delay = min(self._rto * 2**self._reconfig_failures, RTO_MOST)
        self._reconfig_handle = self._later(delay, self._reconfig_timer_expired)
        _run(self._send_reconfig_param(self._reconfig_request))

    def _update_rto(self, R: float) -> None:  # noqa: N803
        """As aiortc's with a smaller least value, and deaf to jumps of the wall clock."""
        super()._update_rto(min(max(R, 0.001), RTO_MOST))
        self._rto = min(max(self._srtt + 4 * self._rttvar, RTO_LEAST), RTO_MOST)
