"""DTLS over a path: packets in, packets out, the handshake's timer, and last words said twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from atmosphere.dtls.records import is_dtls
from atmosphere.dtls.session import DtlsSession, Keys


class DatagramTransport(Protocol):
    """A path: it moves whole datagrams and may lose, repeat and reorder them."""

    on_datagram: Callable[[bytes], None] | None

    def send(self, datagram: bytes, /) -> None:
        """Send one datagram; never raises, and never answers before it returns."""
        ...


class Receiver(Protocol):
    """Who gets what the peer sent."""

    def path_protected(self) -> None:
        """The handshake is complete: packets can be sent."""
        ...

    def packets_arrived(self, packets: list[bytes]) -> None:
        """The peer's packets out of one datagram; also called when there are none."""
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
        self._last_words: list[bytes] = []
        self.session = DtlsSession(identity, client=client, now=self._loop.time(), srtp=srtp)
        self.bytes_sent = 0
        self.bytes_received = 0
        self.packets_received = 0
        """Those that only the peer of this very handshake can have sent."""

    def listen(self) -> None:
        """Take datagrams from now on."""
        self._transport.on_datagram = self._receive

    def start(self) -> None:
        """Send what the session has, notice its end, and set the timer for what it waits for."""
        self._send_datagrams()
        if self.session.state in ("closed", "failed") and not self._ended:
            self._ended = True
            self._receiver.path_ended(self.session.reason)
        self._stop_timer()
        deadline = self.session.deadline()
        if deadline is not None and not self._closing:
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def send(self, packet: bytes) -> None:
        """Protect and send one packet."""
        self.session.send(packet, self._loop.time())
        self._send_datagrams()

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

    def _receive(self, datagram: bytes) -> None:
        if self._closing or not is_dtls(datagram):
            return
        self.bytes_received += len(datagram)
        before = self.session.state
        self.session.receive(datagram, self._loop.time())
        packets = self.session.data()
        self.packets_received += len(packets)
        if before == "handshaking" and self.session.state == "connected":
            self._receiver.path_protected()
        self._receiver.packets_arrived(packets)
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


def _ignore(_datagram: bytes) -> None:
    """Nobody listens."""
