"""The receiving half of the hardened association: what may come in, how much of it is kept, what is acknowledged.

Contained here: a repeated INIT (stock aiortc then forgets what it received and is deaf for ever), chunks in states
where they make no sense, a SACK for packets that were never sent, reassembly and ranges without a bound.
"""

from __future__ import annotations

import logging
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.sctp import packets
from atmosphere.sctp.base import BEFORE_TAG, MODULO, BaseTransport, run
from atmosphere.sctp.library import (
    AbortChunk,
    DataChunk,
    ForwardTsnChunk,
    InitAckChunk,
    InitChunk,
    SackChunk,
    ShutdownAckChunk,
    ShutdownChunk,
    parse_packet,
)

logger = logging.getLogger(__name__)

MAX_AHEAD = 16384
"""How far ahead of the last packet in order one may be."""
MAX_HELD = 4096
"""DATA chunks waiting for others of their message, or for messages before them."""
OVERDRAFT = 320 * 1024
MAX_INBOUND_STREAMS = 2048
REPORT_EVERY = 4
MAX_REPORTED_RANGES, MAX_REPORTED_DUPLICATES = 240, 16


class ReceivingTransport(BaseTransport):
    """An association that takes packets from anybody."""

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
                run(self._receive_chunk(chunk))
        if self._sack_needed and not self._over:
            self._report()

    def _report(self) -> None:
        """Acknowledge every fourth packet, a burst when it is over, and at once what is out of order.

        Stock aiortc acknowledges every packet, and an acknowledgement costs both ends as much as data does.
        """
        self._unreported += 1
        if self._sack_misordered or self._sack_duplicates or self._unreported >= REPORT_EVERY:
            run(self._send_sack())
        elif self._report_handle is None:
            self._report_handle = self._loop.call_soon(self._report_now)

    def _report_now(self) -> None:
        self._report_handle = None
        if self._sack_needed and not self._over:
            run(self._send_sack())

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
            return self._last_received_tsn is not None and self._association_state not in BEFORE_TAG
        return True

    def _plausible(self, sack: SackChunk) -> bool:
        """Whether a SACK is only about packets that were sent."""
        sent = (self._local_tsn - self._last_sacked_tsn - 1) % MODULO
        newly = (sack.cumulative_tsn - self._last_sacked_tsn) % MODULO
        if self._association_state in BEFORE_TAG:
            return False
        if newly >= MODULO // 2:
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
        ahead = (chunk.tsn - self._last_received_tsn) % MODULO
        if 1 < ahead < MODULO // 2 and (ahead > MAX_AHEAD or self._full(0)):
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
        if (chunk.cumulative_tsn - self._last_received_tsn) % MODULO > 4 * MAX_AHEAD:
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
        ahead = (tsn - self._last_received_tsn) % MODULO
        if ahead == 0 or ahead >= MODULO // 2 or tsn in self._sack_misordered:
            if len(self._sack_duplicates) < MAX_REPORTED_DUPLICATES:
                self._sack_duplicates.append(tsn)
            return True
        self._sack_misordered.add(tsn)
        following = (self._last_received_tsn + 1) % MODULO
        while following in self._sack_misordered:
            self._sack_misordered.discard(following)
            self._last_received_tsn = following
            following = (following + 1) % MODULO
        return False

    async def _send_sack(self) -> None:
        """Acknowledge; as aiortc's, but never larger than a packet."""
        gaps: list[tuple[int, int]] = []
        for position in sorted((tsn - self._last_received_tsn) % MODULO for tsn in self._sack_misordered):
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
        self._unreported = 0
        await self._send_chunk(sack)
