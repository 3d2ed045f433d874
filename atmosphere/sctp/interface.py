"""What channels need of an SCTP association, whoever provides it: stream ids in, plain callbacks out (RFC 8831).

A *handle* is the SCTP stream id of a data channel, valid from `open` or `on_channel_opened` until `on_channel_closed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

MAX_MESSAGE = 1024 * 1024
"""Bytes in the largest message that is taken, and in the largest that is sent to whoever takes as much."""
BROWSER_MESSAGE = 256 * 1024
"""The same of browsers, and of what does as they do: what is sent to a peer that said nothing else (RFC 8841)."""


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """How a data channel treats its messages; at most one of the two limits may be set (RFC 8832 section 5.1)."""

    label: str = ""
    protocol: str = ""
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime_ms: int | None = None
    priority: int = 256
    """Its share of a crowded link: 128 below normal, 256 normal, 512 high, 1024 extra high (RFC 8831 section 6.4)."""

    @property
    def reliable(self) -> bool:
        """Whether every message arrives or the channel ends."""
        return self.max_retransmits is None and self.max_lifetime_ms is None


class AssociationEvents(Protocol):
    """What an association tells its owner. An exception in one of these is logged and goes no further."""

    def on_established(self) -> None:
        """Messages can flow."""
        ...

    def on_channel_opened(self, handle: int, options: ChannelOptions) -> None:
        """The peer opened a channel."""
        ...

    def on_open(self, handle: int) -> None:
        """The peer acknowledged a channel that we opened."""
        ...

    def on_message(self, handle: int, data: bytes | str) -> None:
        """A whole message came in."""
        ...

    def on_buffered_low(self, handle: int) -> None:
        """What waits to be sent on a channel fell below the low mark: there is room again."""
        ...

    def on_channel_closed(self, handle: int, reason: str) -> None:
        """A channel is gone; its handle means nothing any more."""
        ...

    def on_closed(self, reason: str) -> None:
        """The association is gone, and with it (told before) every channel."""
        ...


class Association(Protocol):
    """An SCTP association with WebRTC data channels, over a DTLS session that somebody else moves."""

    @property
    def established(self) -> bool:
        """Whether messages flow."""
        ...

    @property
    def queued(self) -> int:
        """Bytes of all channels that were not yet sent."""
        ...

    @property
    def outstanding(self) -> bool:
        """Whether anything was sent, or waits to be, that the peer has not acknowledged."""
        ...

    @property
    def answer_time(self) -> float | None:
        """Seconds that an acknowledgement takes, at most as a rule; None before that was measured."""
        ...

    def start(self) -> None:
        """Begin the handshake (both sides do)."""
        ...

    def receive(self, data: bytes, segment: int) -> None:
        """Take SCTP packets end to end, `segment` bytes each but the last. Never raises."""
        ...

    def open(self, options: ChannelOptions, negotiated_id: int | None = None) -> int:
        """Open a channel and return its handle; messages may be sent at once. ValueError if no id is free."""
        ...

    def send(self, handle: int, data: bytes | str) -> None:
        """Queue a message. ValueError if it is too large or the channel is not open."""
        ...

    def buffered(self, handle: int) -> int:
        """Bytes of one channel that were not yet sent; 0 for a channel that is gone."""
        ...

    def close(self, handle: int, *, discard: bool = False) -> None:
        """Close a channel once what is queued is sent (or, with `discard`, without it)."""
        ...

    def presume(self, secret: bytes) -> None:
        """Stand at once: both sides know `secret`, and that the other does this too."""
        ...

    def read(self, unread: int) -> None:
        """So many bytes that were told have not been read: the peer's window is that much smaller."""
        ...

    def resume(self) -> None:
        """The path takes packets again."""
        ...

    def dump(self) -> dict[str, Any]:
        """The state in short, for whoever looks into a stall."""
        ...

    def kick(self) -> None:
        """Send again now whatever is unacknowledged: the path has just changed."""
        ...

    def probe(self) -> None:
        """Send something that is unacknowledged once more, so that the peer says something."""
        ...

    def abort(self, reason: str) -> None:
        """End the association at once and tell the peer why."""
        ...
