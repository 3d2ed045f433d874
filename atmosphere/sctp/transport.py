"""The hardened association, whole: what `association` calls, and the stream resets that close data channels."""

from __future__ import annotations

from typing import Any, cast

from atmosphere.sctp.base import States, run
from atmosphere.sctp.sending import SendingTransport


class Stream:
    """What aiortc wants to know of a data channel."""

    __slots__ = ("id",)

    negotiated = True
    readyState = "open"

    def __init__(self, stream: int) -> None:
        self.id = stream


class SctpTransport(SendingTransport):
    """One SCTP association over `send`; `handle` takes the packets."""

    @property
    def outstanding(self) -> bool:
        """Whether something is sent, or about to be, and not acknowledged."""
        return bool(self._sent_queue or self._outbound_queue)

    @property
    def answer_time(self) -> float | None:
        """The smoothed round trip and what it varies by, in seconds."""
        return None if self._srtt is None else float(self._srtt + 4 * (self._rttvar or 0))

    @property
    def busy(self) -> bool:
        """Whether earlier messages still wait for the congestion window."""
        return bool(self._outbound_queue)

    def begin(self) -> None:
        """Send our INIT."""
        if not self._over and self._association_state == States.CLOSED:
            run(self._init())

    def transmit(self, stream: int, protocol: int, data: bytes, **how: Any) -> None:
        """Hand one message to SCTP (`how`: ordered, max_retransmits, expiry as wall-clock seconds)."""
        run(self._send(stream, protocol, data, **how))

    def reset(self, stream: int) -> None:
        """Close our direction of a data channel after what was handed over for it."""
        self._reconfig_queue.append(stream)
        run(self._transmit_reconfig())

    def add(self, stream: int) -> None:
        """A data channel exists from now on."""
        self._data_channels[stream] = cast("Any", Stream(stream))

    def forget(self, stream: int) -> None:
        """A data channel does not exist any more."""
        self._data_channels.pop(stream, None)

    @property
    def stream_count(self) -> int:
        """How many streams both sides allow."""
        return int(min(self._outbound_streams_count, self._inbound_streams_count or self._outbound_streams_count))

    async def _data_channel_flush(self) -> None:
        self._owner.transport_room()
        await self._transmit_reconfig()

    def _data_channel_close(self, channel: Any) -> None:
        """The peer reset a channel's stream, so ours is reset too (RFC 8831 section 6.7)."""
        self._owner.transport_stream_reset(channel.id)

    def _data_channel_closed(self, stream_id: int) -> None:
        self._data_channel_inbound_reset.discard(stream_id)
        self._data_channel_outbound_reset.discard(stream_id)
        if self._data_channels.pop(stream_id, None) is not None:
            self._owner.transport_stream_closed(stream_id)
