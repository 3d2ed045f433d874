"""DTLS over a path: packets in, packets out, the handshake's timer, and last words said twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from atmosphere.dtls.burst import Burst
from atmosphere.dtls.context import Keys
from atmosphere.dtls.records import is_dtls
from atmosphere.dtls.session import DtlsSession


class DatagramTransport(Protocol):
    """A path: it moves whole datagrams and may lose, repeat and reorder them.

    A burst is datagrams end to end, each `segment` bytes but the last.
    """

    on_datagram: Callable[[bytes], None] | None
    on_burst: Callable[[bytes, int], None] | None
    on_writable: Callable[[], None]
    """Called when `blocked` is not so any more."""

    def send(self, datagram: bytes, /) -> None:
        """Send one datagram; never raises, and never answers before it returns."""
        ...

    def send_burst(self, data: bytes, segment: int, /) -> None:
        """Send a burst; as `send`."""
        ...

    def send_probe(self, datagram: bytes, /) -> None:
        """Send one datagram that must not be fragmented; where that cannot be had, do not send it."""
        ...

    @property
    def blocked(self) -> bool:
        """Whether no more bursts should be sent just now."""
        ...


class Receiver(Protocol):
    """Who gets what the peer sent."""

    def path_protected(self) -> None:
        """The handshake is complete: packets can be sent."""
        ...

    def packets_arrived(self, bursts: list[Burst]) -> None:
        """The peer's packets out of one datagram or burst; also called when there are none."""
        ...

    def path_writable(self) -> None:
        """The path takes packets again."""
        ...

    def path_ended(self, reason: str) -> None:
        """DTLS has ended, by the peer or by failure."""
        ...


class ProtectedPath:
    """A DTLS session moved by a transport and a timer; `session` says who the peer is."""

    def __init__(
        self, transport: DatagramTransport, identity: Keys, receiver: Receiver, *, client: bool, srtp: bool
    ) -> None:
        self._transport = transport
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._ended = False
        self._went_ahead = False
        self._last_words: list[bytes] = []
        self.session = DtlsSession(identity, client=client, now=self._loop.time(), srtp=srtp)
        self.bytes_sent = 0
        self.bytes_received = 0
        self.packets_received = 0
        """Those that only the peer of this very handshake can have sent."""

    def listen(self) -> None:
        """Take datagrams from now on."""
        self._transport.on_datagram = self._receive
        self._transport.on_burst = self._receive_burst
        self._transport.on_writable = self._receiver.path_writable

    def hello(self) -> list[bytes]:
        """What a client may send ahead of `start`, while there is no path yet; nothing waits for an answer to it."""
        self._went_ahead = True
        return self.session.datagrams()

    def begin(self) -> None:
        """There is a path now: a handshake that began before has its time from here."""
        self._went_ahead = False
        self.session.begin(self._loop.time())
        self.start()

    def start(self) -> None:
        """Send what the session has, notice its end, and set the timer for what it waits for."""
        if self._went_ahead:
            self._went_ahead = False
            self.session.begin(self._loop.time())
        self._send_datagrams()
        if self.session.state in ("closed", "failed") and not self._ended:
            self._ended = True
            self._receiver.path_ended(self.session.reason)
        self._stop_timer()
        deadline = self.session.deadline()
        if deadline is not None and not self._closing:
            self._timer = self._loop.call_at(deadline, self._on_timer)

    @property
    def blocked(self) -> bool:
        """Whether the path takes no more packets just now; `path_writable` says when it does."""
        return self._transport.blocked

    def send(self, data: bytes, segment: int) -> None:
        """Protect and send packets end to end, `segment` bytes each but the last."""
        for sealed, size in self.session.seal(data, segment):
            self.bytes_sent += len(sealed)
            if len(sealed) > size:
                self._transport.send_burst(sealed, size)
            else:
                self._transport.send(sealed)
            if self._closing:
                self._last_words.append(sealed)
        if self.session.state == "failed":
            self.start()

    def send_probe(self, packet: bytes) -> None:
        """Protect and send one packet that must not be fragmented on its way."""
        for sealed, _ in self.session.seal(packet, len(packet)):
            self.bytes_sent += len(sealed)
            self._transport.send_probe(sealed)

    def last_words(self) -> None:
        """Whatever is sent from now on is sent once more by `close`."""
        self._closing = True

    def close(self) -> None:
        """End the session, tell the peer, and be deaf."""
        self._closing = True
        self.session.close()
        self._send_datagrams()
        for datagram in self._last_words:
            # Nobody will notice if the first was lost; the second of two is dropped as a replay.
            self._transport.send(datagram)
        self._last_words.clear()
        self._stop_timer()
        self._transport.on_datagram = _ignore
        self._transport.on_burst = None
        self._transport.on_writable = _nothing

    def _receive(self, datagram: bytes) -> None:
        if is_dtls(datagram):
            self._receive_burst(datagram, len(datagram))

    def _receive_burst(self, data: bytes, segment: int) -> None:
        if self._closing:
            return
        self.bytes_received += len(data)
        before = self.session.state
        bursts = self.session.open(data, segment, self._loop.time())
        for packets, size in bursts:
            self.packets_received += -(-len(packets) // size)
        if before == "handshaking" and self.session.state == "connected":
            self._receiver.path_protected()
        self._receiver.packets_arrived(bursts)
        if before != "connected" or self.session.state != "connected" or self.session.has_datagrams:
            self.start()

    def _send_datagrams(self) -> None:
        for datagram in self.session.datagrams():
            self.bytes_sent += len(datagram)
            self._transport.send(datagram)
            if self._closing:
                self._last_words.append(datagram)

    def _on_timer(self) -> None:
        self._timer = None
        self.session.handle_timer(self._loop.time())
        self.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Protected:
    """What a link knows by its path: who the peer is, and how much has passed."""

    _path: ProtectedPath

    @property
    def bytes_sent(self) -> int:
        """Bytes given to the path, DTLS and all."""
        return self._path.bytes_sent

    @property
    def bytes_received(self) -> int:
        """Bytes taken from the path, DTLS and all."""
        return self._path.bytes_received

    @property
    def packets_received(self) -> int:
        """How many packets came that only the peer of this very handshake can have sent."""
        return self._path.packets_received

    @property
    def peer_id(self) -> str:
        """The peer's node id, proved by its handshake; empty before."""
        return self._path.session.peer_node_id or ""

    @property
    def peer_public_key(self) -> bytes:
        """The peer's SubjectPublicKeyInfo (DER), proved by its handshake; empty before."""
        return self._path.session.peer_public_key or b""

    @property
    def peer_certificate(self) -> bytes:
        """The peer's certificate (DER); empty before the handshake."""
        return self._path.session.peer_certificate or b""

    def exporter(self, label: bytes, length: int) -> bytes:
        """`length` secret bytes that only the two ends of this very handshake know (RFC 5705)."""
        return self._path.session.exporter(label, length)


def _ignore(_datagram: bytes) -> None:
    """Nobody listens."""


def _nothing() -> None:
    """Nobody waits."""
