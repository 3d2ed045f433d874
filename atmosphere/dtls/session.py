"""One DTLS 1.2 session as a pure state machine: datagrams and `now` in, datagrams, data and a deadline out.

A handshake, and then the records of the only epoch that follows it. There is no second handshake inside a session
(RFC 5746's renegotiation): a link that has used up its keys ends, and its nodes begin another.
"""

from __future__ import annotations

from typing import Literal

from atmosphere.dtls import alerts, records
from atmosphere.dtls.burst import Burst, is_uniform
from atmosphere.dtls.context import Keys
from atmosphere.dtls.handshake import Handshake, Outcome, Peer
from atmosphere.dtls.protection import KeysSpentError, Opening, Sealing
from atmosphere.dtls.secrets import Secrets
from atmosphere.identity import node_id_of

ANSWER_INTERVAL = 0.1
MAX_EARLY = 64
"""Sealed records that may overtake the end of the handshake."""

State = Literal["handshaking", "connected", "closed", "failed"]


class DtlsSession:
    """One DTLS session; `state` goes from handshaking to connected to closed, or to failed (`reason` says why).

    With `srtp` the use_srtp extension is negotiated though no media will flow: aiortc refuses peers without it.
    """

    def __init__(self, identity: Keys, *, client: bool, now: float, srtp: bool = False) -> None:
        self._client = client
        self._handshake: Handshake | None = Handshake(identity, client=client, now=now, srtp=srtp)
        self._peer: Peer | None = None
        self._secrets: Secrets | None = None
        self._sealing: Sealing | None = None
        self._opening: Opening | None = None
        self._flight: list[bytes] = []
        """A server's last one, for a client that missed it."""
        self._answered_at = -ANSWER_INTERVAL
        self._early: list[bytes] = []
        self._outgoing: list[bytes] = []
        self.state: State = "handshaking"
        self.reason = ""
        self.timed_out = False
        self._follow(self._handshake)

    # -- what the peer proved

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER once connected."""
        return None if self._peer is None else self._peer.certificate

    @property
    def peer_public_key(self) -> bytes | None:
        """The peer's SubjectPublicKeyInfo in DER once connected."""
        return None if self._peer is None else self._peer.public_key

    @property
    def peer_node_id(self) -> str | None:
        """The peer's node id once connected."""
        return None if self._peer is None else node_id_of(self._peer.public_key)

    @property
    def is_own(self) -> bool:
        """Whether the peer is a node of ours: both ends said so in this handshake."""
        return self._peer is not None and self._peer.is_own

    def exporter(self, label: bytes, length: int) -> bytes:
        """`length` secret bytes that only the two ends of this very handshake know (RFC 5705)."""
        if self._secrets is None:
            raise ValueError("the exporter exists once the handshake is complete")
        return self._secrets.export(label, length)

    # -- bytes and time in

    def seal(self, data: bytes, segment: int) -> list[Burst]:
        """Protect packets end to end, `segment` bytes each but the last; before the handshake and after the end none.

        The records come back as a burst, one a datagram; they are to be sent now.
        """
        if self.state != "connected" or not data:
            return []
        return self._seal(data, segment, records.APPLICATION_DATA)

    def open(self, data: bytes, segment: int, now: float) -> list[Burst]:
        """Take datagrams end to end, `segment` bytes each but the last; what the peer sent in them.

        Whatever is not DTLS, or not authentic, is dropped.
        """
        if self._opening is not None and is_uniform(data, segment):
            return self._open(data, segment)
        bursts: list[Burst] = []
        for place in range(0, len(data), segment):
            bursts += self._receive(data[place : place + segment], now)
        return bursts

    def begin(self, now: float) -> None:
        """There is a path: a handshake's time runs from here, and what was not answered is sent again."""
        if self._handshake is not None:
            self._handshake.begin(now)
            self._follow(self._handshake)

    def handle_timer(self, now: float) -> None:
        """Send the last flight again, or give up, when `deadline` has come."""
        if self._handshake is not None:
            self._handshake.handle_timer(now)
            self._follow(self._handshake)

    def close(self) -> None:
        """End the session and tell the peer (close_notify)."""
        if self.state == "connected":
            self._outgoing += [record for record, _ in self._seal(alerts.CLOSE_NOTIFY, 2, records.ALERT)]
        if self.state in ("handshaking", "connected"):
            self._end("closed", "closed here")

    # -- what comes out

    @property
    def has_datagrams(self) -> bool:
        """Whether `datagrams` has any."""
        return bool(self._outgoing)

    def datagrams(self) -> list[bytes]:
        """The datagrams to be sent now beside those that `seal` returns."""
        taken, self._outgoing = self._outgoing, []
        return taken

    def deadline(self) -> float | None:
        """When `handle_timer` wants to be called (monotonic seconds); None when nothing waits."""
        return None if self._handshake is None else self._handshake.deadline()

    # -- inside

    def _receive(self, datagram: bytes, now: float) -> list[Burst]:
        """Take one datagram of any records."""
        parts = records.split(datagram)
        if self._handshake is not None:
            self._shake(self._handshake, parts, now)
            parts, self._early = (self._early, []) if self.state == "connected" else ([], self._early)
        bursts: list[Burst] = []
        for record in parts:
            if self._opening is None:
                break
            if record[0] == records.APPLICATION_DATA:
                bursts += self._open(record, len(record))
            elif record[0] == records.ALERT:
                self._hear(b"".join(alert for alert, _ in self._open(record, len(record))))
            elif record[0] == records.HANDSHAKE and records.number(record) >= records.EPOCH:
                self._answer_repeated_flight(now)
        return bursts

    def _shake(self, handshake: Handshake, parts: list[bytes], now: float) -> None:
        """Go on with the handshake; data that has overtaken its end waits for the keys."""
        ours = [record for record in parts if _is_of_handshake(record)]
        if len(ours) < len(parts):
            self._early = [*self._early, *(record for record in parts if not _is_of_handshake(record))][:MAX_EARLY]
        if ours:
            handshake.receive(ours, now)
            self._follow(handshake)

    def _follow(self, handshake: Handshake) -> None:
        """Pass on what the handshake has to say, and take over when it is done."""
        self._outgoing += handshake.outgoing
        handshake.outgoing.clear()
        self.timed_out = handshake.timed_out
        if handshake.failure:
            self._end("failed", handshake.failure)
        elif handshake.outcome is not None:
            self._connected(handshake.outcome)

    def _connected(self, outcome: Outcome) -> None:
        self._handshake = None
        self._peer, self._secrets = outcome.peer, outcome.secrets
        of_client, of_server = outcome.secrets.halves()
        self._sealing = Sealing(of_client if self._client else of_server, outcome.written)
        self._opening = Opening(of_server if self._client else of_client)
        if not self._client:
            self._flight = outcome.flight
        self.state = "connected"

    def _seal(self, data: bytes, segment: int, kind: int) -> list[Burst]:
        if self._sealing is None:
            return []
        try:
            return [self._sealing.seal(data, segment, kind)]
        except (KeysSpentError, ValueError) as error:
            self._end("failed", str(error))
            return []

    def _open(self, data: bytes, segment: int) -> list[Burst]:
        if self._opening is None:
            return []
        try:
            opened = self._opening.open(data, segment)
        except KeysSpentError as error:
            self._end("failed", str(error))
            return []
        return [] if opened is None else [opened]

    def _hear(self, alert: bytes) -> None:
        """The peer's alert; warnings other than the end are no news (RFC 5246 section 7.2)."""
        if alert == alerts.CLOSE_NOTIFY:
            self._end("closed", "closed by the peer")
        elif fatal := alerts.says_fatal(alert):
            self._end("failed", f"the peer ended DTLS: {fatal}")

    def _answer_repeated_flight(self, now: float) -> None:
        """A client that still sends its Finished missed ours (RFC 6347 section 4.2.4): again, ten times a second.

        It is not asked by a ClientHello, for that may be another session's, which has the same two addresses.
        """
        if self._flight and now >= self._answered_at + ANSWER_INTERVAL:
            self._answered_at = now
            self._outgoing += self._flight

    def _end(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason
        self._handshake = self._sealing = self._opening = None
        self._early.clear()


def _is_of_handshake(record: bytes) -> bool:
    """Whether OpenSSL should see it: no data, and of what is sealed nothing but the end of the handshake.

    Data in the clear is nobody's, and OpenSSL would give up because of it.
    """
    if records.number(record) >= records.EPOCH:
        return record[0] == records.HANDSHAKE
    return record[0] != records.APPLICATION_DATA
