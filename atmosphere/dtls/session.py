"""One DTLS 1.2 session as a pure state machine: datagrams and `now` in, datagrams, data and a deadline out.

OpenSSL does the handshake and the records over memory BIOs. What is ours is what OpenSSL leaves to its caller:

- both sides show a certificate and *any* self-signed P-256 certificate is taken; who the peer is follows from its
  key (`peer_public_key`), and whether that is welcome is for the caller to decide (DESIGN.md §2);
- the last flight is sent again after 250 ms, not after OpenSSL's one second, so that a lossy path opens quickly;
- a server answers a repeated flight of a client that missed the last one (RFC 6347 section 4.2.4);
- garbage is dropped in silence (RFC 6347 section 4.1.2.7).

DTLS 1.2 exactly: every WebRTC stack speaks it, and its record header is what `records` can split.
"""

from __future__ import annotations

import logging
from typing import Any, Literal, Protocol
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from atmosphere.dtls import burst, records
from atmosphere.dtls.burst import Burst
from atmosphere.identity import node_id_of

logger = logging.getLogger(__name__)

DTLS_1_2 = 0xFEFD
MTU = 1200
HANDSHAKE_TIMEOUT = 15.0
RESEND_FIRST, RESEND_FACTOR, RESEND_MOST = 0.25, 1.3, 1.0
ANSWER_INTERVAL = 0.1
MAX_PENDING = 1024
MAX_SEALED = 2**30
"""Records under one key: more than a terabyte, and well within what AES-GCM bears (RFC 8446 section 5.5)."""
ALPN = b"atmosphere/1"
"""What our own nodes offer each other (RFC 7301); any other WebRTC stack does not know it and passes over it."""
_CIPHERS = b"ECDHE+ECDSA+AESGCM:ECDHE+ECDSA+CHACHA20"
_SRTP_PROFILES = b"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
_FLIGHT, _RECORD = 65536, 17 * 1024
"""Bytes in the largest flight, and in the largest record with its header."""

State = Literal["handshaking", "connected", "closed", "failed"]


class Keys(Protocol):
    """What a session needs of an identity: a P-256 key and its self-signed certificate."""

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The key of the certificate."""
        ...

    @property
    def certificate(self) -> x509.Certificate:
        """The self-signed certificate that the peer is shown."""
        ...


_contexts: WeakKeyDictionary[Keys, dict[bool, SSL.Context]] = WeakKeyDictionary()


def _context(identity: Keys, srtp: bool) -> SSL.Context:
    """OpenSSL's settings for one identity, made once."""
    contexts = _contexts.setdefault(identity, {})
    context = contexts.get(srtp)
    if context is None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(DTLS_1_2)
        context.set_max_proto_version(DTLS_1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_QUERY_MTU)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 17 KB less for every idle link
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
        context.use_certificate(identity.certificate)
        context.use_privatekey(identity.private_key)
        context.set_cipher_list(_CIPHERS)
        if srtp:
            context.set_tlsext_use_srtp(_SRTP_PROFILES)
        else:
            context.set_alpn_protos([ALPN])
            context.set_alpn_select_callback(_choose)
        contexts[srtp] = context
    return context


def _accept_any(_connection: SSL.Connection, _certificate: object, _error: int, _depth: int, _ok: int) -> bool:
    """Take every certificate: a self-signed one proves possession of its key, and that is all that is asked of it."""
    return True


def _choose(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    """Take what our own nodes offer, and let anything else pass without an answer."""
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for what went wrong, without its function names."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(dict.fromkeys(str(entry[-1]) for entry in queue if entry)) or "protocol error"


class DtlsSession:
    """One DTLS session; `state` goes from handshaking to connected to closed, or to failed (`reason` says why).

    With `srtp` the use_srtp extension is negotiated though no media will flow: aiortc refuses peers without it.
    """

    def __init__(self, identity: Keys, *, client: bool, now: float, srtp: bool = False) -> None:
        self._identity = identity
        self._srtp = srtp
        self._client = client
        self._ssl = self._new_connection()
        self._sealed = 0
        self._outgoing: list[bytes] = []
        self._incoming: list[bytes] = []
        self._flight: list[bytes] = []
        self._resend_after = RESEND_FIRST
        self._resend_at: float | None = None
        self._answered_at = -ANSWER_INTERVAL
        self._give_up_at = now + HANDSHAKE_TIMEOUT
        self._peer: x509.Certificate | None = None
        self.state: State = "handshaking"
        self.reason = ""
        self.timed_out = False
        if client:
            self._handshake(now)

    # -- what the peer proved

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER once connected."""
        return None if self._peer is None else self._peer.public_bytes(serialization.Encoding.DER)

    @property
    def peer_public_key(self) -> bytes | None:
        """The peer's SubjectPublicKeyInfo in DER once connected."""
        if self._peer is None:
            return None
        return self._peer.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def peer_node_id(self) -> str | None:
        """The peer's node id once connected."""
        key = self.peer_public_key
        return None if key is None else node_id_of(key)

    @property
    def is_own(self) -> bool:
        """Whether the peer is a node of ours: both ends said so in this handshake."""
        return self._peer is not None and not self._srtp and self._ssl.get_alpn_proto_negotiated() == ALPN

    def exporter(self, label: bytes, length: int) -> bytes:
        """`length` secret bytes that only the two ends of this very handshake know (RFC 5705)."""
        if self._peer is None:
            raise ValueError("the exporter exists once the handshake is complete")
        return self._ssl.export_keying_material(label, length)

    # -- bytes and time in

    def receive(self, datagram: bytes, now: float) -> None:
        """Take one datagram from the path; whatever is not DTLS, or not authentic, is dropped."""
        if self.state in ("closed", "failed"):
            return
        parts = records.split(datagram)
        if not parts:
            return
        was_connected = self.state == "connected"
        self._ssl.bio_write(datagram)
        if not was_connected:
            self._handshake(now)
        if self.state == "connected":
            self._read(len(parts))
            if datagram[0] != records.APPLICATION_DATA or self.state != "connected":
                self._collect()
            if was_connected and datagram[0] in (records.HANDSHAKE, records.CHANGE_CIPHER_SPEC):
                self._answer_repeated_flight(now)

    def send(self, data: bytes, now: float) -> None:
        """Protect one datagram for the peer; before the handshake and after the end it goes nowhere."""
        self._put([sealed for sealed, _ in self.seal(data, len(data))])

    def seal(self, data: bytes, segment: int) -> list[Burst]:
        """Protect packets end to end, `segment` bytes each but the last; before the handshake and after the end none.

        The records come back as a burst, one a datagram; they are to be sent now.
        """
        if self.state != "connected" or not data:
            return []
        self._sealed += -(-len(data) // segment)
        if self._sealed > MAX_SEALED:
            self._end("failed", "the keys of the link are used up")
            return []
        try:
            return [burst.seal(self._ssl, data, segment)]
        except SSL.Error as error:
            self._end("failed", _reason(error))
            return []

    def open(self, data: bytes, segment: int, now: float) -> list[Burst]:
        """Take datagrams end to end, `segment` bytes each but the last; what the peer sent in them.

        What is not a plain burst of data goes the way of `receive`.
        """
        if self.state == "connected" and burst.is_uniform(data, segment):
            return burst.open_all(self._ssl, data, segment)
        for place in range(0, len(data), segment):
            self.receive(data[place : place + segment], now)
        return [(packet, len(packet)) for packet in self.data()]

    def handle_timer(self, now: float) -> None:
        """Send the last flight again, or give up, when `deadline` has come."""
        if self.state != "handshaking":
            return
        if now >= self._give_up_at:
            self.timed_out = True
            self._end("failed", "the DTLS handshake took too long")
        elif self._resend_at is not None and now >= self._resend_at:
            self._put(self._flight)
            self._resend_after = min(self._resend_after * RESEND_FACTOR, RESEND_MOST)
            self._resend_at = now + self._resend_after

    def close(self) -> None:
        """End the session and tell the peer (close_notify)."""
        if self.state not in ("handshaking", "connected"):
            return
        if self.state == "connected":
            try:
                self._ssl.shutdown()
            except SSL.Error as error:
                logger.debug("close_notify was not sent: %s", _reason(error))
            self._collect()
        self._end("closed", "closed here")

    # -- what comes out

    @property
    def has_datagrams(self) -> bool:
        """Whether `datagrams` has any."""
        return bool(self._outgoing)

    def datagrams(self) -> list[bytes]:
        """The datagrams to be sent now, each at most `MTU` bytes unless one record alone is larger."""
        taken, self._outgoing = self._outgoing, []
        return taken

    def data(self) -> list[bytes]:
        """What the peer sent, one entry a record."""
        taken, self._incoming = self._incoming, []
        return taken

    def deadline(self) -> float | None:
        """When `handle_timer` wants to be called (monotonic seconds); None when nothing waits."""
        if self.state != "handshaking":
            return None
        return self._give_up_at if self._resend_at is None else min(self._resend_at, self._give_up_at)

    # -- inside

    def _new_connection(self) -> SSL.Connection:
        connection = SSL.Connection(_context(self._identity, self._srtp), None)
        connection.set_ciphertext_mtu(MTU)
        if self._client:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        return connection

    def _handshake(self, now: float) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._keep_flight(now)
        except SSL.Error as error:
            self._handshake_failed(error)
        else:
            self._keep_flight(now)
            self._connected()

    def _handshake_failed(self, error: SSL.Error) -> None:
        """Give up; a server to which nothing sensible was said yet starts afresh instead, so garbage cannot stop it."""
        if not self._client and not self._flight:
            self._ssl = self._new_connection()
            return
        self._collect()
        self._end("failed", f"the DTLS handshake failed: {_reason(error)}")

    def _connected(self) -> None:
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        key = None if certificate is None else certificate.public_key()
        if certificate is None or not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            self._end("failed", "the peer's certificate is not a P-256 one")
            return
        self._peer = certificate
        self._resend_at = None
        self.state = "connected"
        logger.debug("connected: %s", self._ssl.get_cipher_name())

    def _read(self, count: int) -> None:
        """Take the data of up to `count` records."""
        try:
            for _ in range(count):
                self._incoming.append(self._ssl.recv(_RECORD))
                del self._incoming[:-MAX_PENDING]
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._end("closed", "closed by the peer")
        except SSL.Error as error:
            self._end("failed", f"the peer ended DTLS: {_reason(error)}")

    def _written(self) -> list[bytes]:
        try:
            return records.pack(records.split(self._ssl.bio_read(_FLIGHT)), MTU)
        except SSL.WantReadError:
            return []

    def _put(self, datagrams: list[bytes]) -> None:
        self._outgoing += datagrams
        del self._outgoing[:-MAX_PENDING]

    def _collect(self) -> None:
        self._put(self._written())

    def _keep_flight(self, now: float) -> None:
        flight = self._written()
        if flight:
            self._flight = flight
            self._put(flight)
            self._resend_after = RESEND_FIRST
            self._resend_at = now + RESEND_FIRST

    def _answer_repeated_flight(self, now: float) -> None:
        """A client still sends its last flight, so it missed ours: send ours again, at most ten times a second."""
        if not self._client and self._flight and now >= self._answered_at + ANSWER_INTERVAL:
            self._answered_at = now
            self._put(self._flight)

    def _end(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason
        self._resend_at = None
