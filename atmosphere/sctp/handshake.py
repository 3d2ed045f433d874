"""The four-way handshake, begun by both sides at once as WebRTC does (RFC 9260 section 5; RFC 8831 section 5).

Between our own nodes it is left out: both take what it would agree on from the DTLS handshake, which is secret and the
same on both sides (`presume`), so that data follows in the first flight (docs/PROTOCOL.md).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, cookie, packet, parameters
from atmosphere.sctp.chunks import Init
from atmosphere.sctp.cookie import Cookie
from atmosphere.sctp.parameters import Features
from atmosphere.sctp.receiver import WINDOW

RESEND_FIRST, RESEND_FACTOR, RESEND_MOST = 0.4, 1.2, 1.0
TRIES = 30
STREAMS = 65535
SECRET = 16
"""Bytes that `presume` needs."""


class Agreement(NamedTuple):
    """What both sides know once the handshake is over; tags and TSNs as on the wire."""

    peer_tag: int
    peer_tsn: int
    peer_window: int
    streams: int
    """How many streams we may use."""
    features: Features


class Handshake:
    """One side of it: chunks in; `packets` are to be sent, `agreement` is there at its end."""

    def __init__(self, random: Callable[[int], bytes], offered: Features) -> None:
        self._key = random(16)
        self._random = random
        self._offered = offered
        self.tag = int.from_bytes(random(4)) or 1
        self.first_tsn = int.from_bytes(random(4))
        self.agreement: Agreement | None = None
        self.failed = ""
        self.restarted = False
        self._packets: list[bytes] = []
        self._echo: bytes | None = None
        self._peer: Agreement | None = None
        self._resend_at: float | None = None
        self._resend_after = RESEND_FIRST
        self._tries = 0
        self._started = False

    # -- what comes in

    def start(self, now: float) -> None:
        """Send our INIT."""
        if not self._started and self.agreement is None:
            self._started = True
            self._again(now)

    def presume(self, secret: bytes, *, client: bool) -> None:
        """Agree without a word: tags and first TSNs out of `SECRET` bytes that both sides share."""
        numbers = struct.unpack("!LLLL", secret[:SECRET])
        mine, theirs = (numbers[:2], numbers[2:]) if client else (numbers[2:], numbers[:2])
        self.tag, self.first_tsn = mine[0] or 1, mine[1]
        self._complete(Agreement(theirs[0] or 1, theirs[1], WINDOW, STREAMS, self._offered))

    def handle_timer(self, now: float) -> None:
        """Say the last word again when it is time."""
        if self._resend_at is not None and now >= self._resend_at:
            if self._tries > TRIES:
                self.failed = "the peer does not answer"
                self._resend_at = None
            else:
                self._again(now)

    def kick(self, now: float) -> None:
        """Say the last word again now: the path has just changed."""
        if self._resend_at is not None:
            self._resend_at = now

    def deadline(self) -> float | None:
        """When `handle_timer` has something to do; None for never."""
        return self._resend_at

    def init(self, value: bytes, now: float) -> None:
        """The peer's INIT: answer it and remember nothing (sections 5.1, 5.2.1 and 5.2.2)."""
        offer = Init.decode(value)
        features = parameters.decode_features(parameters.decode_all(offer.parameters))
        # In an association that stands, a fresh tag: the peer has begun anew, if its cookie comes back.
        tag = self.tag
        if self.agreement is not None and offer.tag != self.agreement.peer_tag:
            tag = int.from_bytes(self._random(4)) or 1
        made = Cookie(tag, offer.tag, offer.tsn, offer.window, offer.outbound, offer.inbound, features, now)
        body = parameters.encode_features(self._offered)
        body += parameters.encode(parameters.STATE_COOKIE, made.encode(self._key))
        answer = Init(tag, WINDOW, STREAMS, STREAMS, self.first_tsn, body)
        self._put(offer.tag, chunks.encode(chunks.INIT_ACK, answer.encode()))

    def init_ack(self, value: bytes, now: float) -> None:
        """The answer to our INIT: bring the cookie back (section 5.1, C)."""
        if not self._started or self._echo is not None or self.agreement is not None:
            return
        answer = Init.decode(value)
        found = parameters.decode_all(answer.parameters)
        state = dict(found).get(parameters.STATE_COOKIE)
        if state is None:
            raise DecodeError("an INIT ACK without a cookie")
        self._peer = self._agree(
            answer.tag, answer.tsn, answer.window, answer.inbound, parameters.decode_features(found)
        )
        self._echo = chunks.encode(chunks.COOKIE_ECHO, state)
        self._tries, self._resend_after = 0, RESEND_FIRST
        self._again(now)

    def cookie_echo(self, value: bytes, now: float) -> bytes:
        """Our cookie comes back: the association stands; the chunk to answer with, or nothing (section 5.2.4)."""
        known = cookie.decode(value, self._key)
        if known is None:
            return b""
        if now > known.made_at + cookie.LIFETIME and self.agreement is None:
            late = int((now - known.made_at - cookie.LIFETIME) * 1e6) & 0xFFFFFFFF
            stale = chunks.encode(chunks.ERROR, parameters.encode(parameters.STALE_COOKIE, late.to_bytes(4)))
            self._put(known.peer_tag, stale)
            return b""
        if known.local_tag != self.tag:
            self.restarted = self.agreement is not None and now <= known.made_at + cookie.LIFETIME
            return b""
        if self.agreement is None:
            self._complete(
                self._agree(known.peer_tag, known.peer_tsn, known.peer_window, known.peer_inbound, known.features)
            )
        elif known.peer_tag != self.agreement.peer_tag:
            return b""
        return chunks.encode(chunks.COOKIE_ACK)

    def cookie_ack(self) -> None:
        """The peer has taken its cookie."""
        if self._echo is not None and self._peer is not None and self.agreement is None:
            self._complete(self._peer)

    def stale(self, now: float) -> None:
        """The peer calls our cookie too old: begin anew (section 5.2.6)."""
        if self.agreement is None and self._echo is not None:
            self._echo = self._peer = None
            self._again(now)

    # -- what comes out

    def packets(self) -> list[bytes]:
        """Packets to be sent now."""
        taken, self._packets = self._packets, []
        return taken

    def packets_as_bursts(self) -> list[tuple[bytes, int]]:
        """The same, each with its size."""
        return [(made, len(made)) for made in self.packets()] if self._packets else []

    @property
    def peer_tag(self) -> int:
        """The peer's tag as far as it is known; 0 before."""
        known = self.agreement or self._peer
        return 0 if known is None else known.peer_tag

    def _agree(self, tag: int, tsn: int, window: int, streams: int, features: Features) -> Agreement:
        return Agreement(tag, tsn, window, min(STREAMS, streams), self._offered.both(features))

    def _complete(self, agreement: Agreement) -> None:
        self.agreement = agreement
        self._resend_at = None

    def _again(self, now: float) -> None:
        self._resend_at = now + self._resend_after
        self._resend_after = min(self._resend_after * RESEND_FACTOR, RESEND_MOST)
        self._tries += 1
        if self._echo is not None and self._peer is not None:
            self._put(self._peer.peer_tag, self._echo)
        else:
            offer = Init(self.tag, WINDOW, STREAMS, STREAMS, self.first_tsn, parameters.encode_features(self._offered))
            self._put(0, chunks.encode(chunks.INIT, offer.encode()))

    def _put(self, tag: int, chunk: bytes) -> None:
        self._packets.append(packet.seal(packet.head(tag), chunk))
        del self._packets[:-16]
