"""The DTLS 1.2 handshake as a pure state machine: records and `now` in, datagrams and a deadline out.

OpenSSL does it over memory buffers. What is ours is what OpenSSL leaves to its caller:

- the last flight is sent again after 250 ms, not after its one second, so that a lossy path opens quickly;
- garbage is dropped in silence (RFC 6347 section 4.1.2.7);
- two nodes that dial each other at once have two sessions between the same two addresses, and a former session may
  have its last words there: what is meant for another session does not reach OpenSSL, or not so that it does harm.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from atmosphere.dtls import records
from atmosphere.dtls.context import ALPN, Keys, context_of
from atmosphere.dtls.secrets import SUITES, Secrets

logger = logging.getLogger(__name__)

MTU = 1200
HANDSHAKE_TIMEOUT = 15.0
"""Seconds on a path that is there. A server may have been greeted ahead of one, and waits twice as long for that."""
RESEND_FIRST, RESEND_FACTOR, RESEND_MOST = 0.25, 1.3, 1.0
MAX_WRITTEN = 64
"""Sealed records that are remembered: OpenSSL counts up, so the last ones tell where to go on."""
RECENT = 0.05
"""Seconds for which a flight counts as on its way."""
_TYPES_OF_CLIENT = frozenset((1, 15, 16))
_TYPES_OF_SERVER = frozenset((0, 2, 3, 4, 12, 13, 14))
"""Messages that only one of both says (RFC 5246 section 7.4)."""
_FLIGHT = 65536
"""Bytes in the largest flight."""


class Peer(NamedTuple):
    """Who is at the other end, as the handshake proved it."""

    certificate: bytes
    """In DER."""
    public_key: bytes
    """The certificate's SubjectPublicKeyInfo, in DER."""
    is_own: bool
    """Whether it is a node of ours: both ends said so in this handshake."""


class Outcome(NamedTuple):
    """What a handshake came to."""

    peer: Peer
    secrets: Secrets
    flight: list[bytes]
    """The last datagrams that were sent; a client that missed a server's sends its own again (section 4.2.4)."""
    written: list[bytes]
    """The records of them that were sealed with the keys of the session."""


class Handshake:
    """One handshake: it runs until there is an `outcome` or a `failure`."""

    def __init__(self, identity: Keys, *, client: bool, now: float, srtp: bool) -> None:
        self._identity = identity
        self._srtp = srtp
        self._client = client
        self._ssl = self._new_connection()
        self._flight: list[bytes] = []
        self._written: list[bytes] = []
        self._resend_after = RESEND_FIRST
        self._resend_at: float | None = None
        self._give_up_at = now + (HANDSHAKE_TIMEOUT if client else 2 * HANDSHAKE_TIMEOUT)
        self._heard = False
        self._sent_at = now
        self._count = 0
        self.outgoing: list[bytes] = []
        """The datagrams to be sent now, each at most `MTU` bytes; the reader empties it."""
        self.outcome: Outcome | None = None
        self.failure = ""
        self.timed_out = False
        if client:
            self._step(now)

    def receive(self, parts: list[bytes], now: float) -> None:
        """Take records of one datagram of the peer's, but none of data."""
        unlike = _TYPES_OF_SERVER if not self._client else _TYPES_OF_CLIENT
        if any(_message_type(record) in unlike for record in parts):
            return  # all of it: a certificate that comes along is the other session's too
        self._heard = True
        self._ssl.bio_write(b"".join(map(self._numbered, parts)))
        self._step(now)

    def _numbered(self, record: bytes) -> bytes:
        """A plaintext record with a number of ours, which nothing authenticates.

        OpenSSL would take one that another session used, or somebody made up, and then not ours of the same number or
        those far before it. What comes twice it knows by the numbers of the messages.
        """
        if records.number(record) >= records.EPOCH:
            return record
        self._count += 1
        return record[:3] + self._count.to_bytes(8) + record[11:]

    def begin(self, now: float) -> None:
        """There is a path, maybe only now: what was sent before counts as lost, unless it was answered."""
        self._give_up_at = now + HANDSHAKE_TIMEOUT
        lost = now > self._sent_at + RECENT if not self._client else not self._heard
        if self._flight and lost:
            self.outgoing += self._flight
            self._sent_at, self._resend_after, self._resend_at = now, RESEND_FIRST, now + RESEND_FIRST

    def handle_timer(self, now: float) -> None:
        """Send the last flight again, or give up, when `deadline` has come."""
        if now >= self._give_up_at:
            self.timed_out = True
            self.failure = "the DTLS handshake took too long"
        elif self._resend_at is not None and now >= self._resend_at:
            self.outgoing += self._flight
            self._sent_at = now
            self._resend_after = min(self._resend_after * RESEND_FACTOR, RESEND_MOST)
            self._resend_at = now + self._resend_after

    def deadline(self) -> float:
        """When `handle_timer` wants to be called (monotonic seconds)."""
        return self._give_up_at if self._resend_at is None else min(self._resend_at, self._give_up_at)

    def _new_connection(self) -> SSL.Connection:
        connection = SSL.Connection(context_of(self._identity, srtp=self._srtp), None)
        connection.set_ciphertext_mtu(MTU)
        if self._client:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        return connection

    def _step(self, now: float) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._send_flight(now)
        except SSL.Error as error:
            self._failed(error)
        else:
            self._send_flight(now)
            self._done()

    def _failed(self, error: SSL.Error) -> None:
        """Give up; a server to which nothing sensible was said yet starts afresh instead, so garbage cannot stop it."""
        if not self._client and not self._flight:
            self._ssl = self._new_connection()
            return
        self.outgoing += self._take_written()
        self.failure = f"the DTLS handshake failed: {_reason(error)}"

    def _done(self) -> None:
        try:
            certificate = self._ssl.get_peer_certificate(as_cryptography=True)
            key = None if certificate is None else certificate.public_key()
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            self.failure = f"the peer's certificate cannot be read: {error}"
            return
        if certificate is None or not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            self.failure = "the peer's certificate is not a P-256 one"
            return
        cipher, ssl = self._ssl.get_cipher_name() or "", self._ssl
        logger.debug("the handshake is complete: %s", cipher)
        peer = Peer(
            certificate.public_bytes(serialization.Encoding.DER),
            key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            not self._srtp and ssl.get_alpn_proto_negotiated() == ALPN,
        )
        secrets = Secrets(
            SUITES[cipher], ssl.master_key() or b"", ssl.client_random() or b"", ssl.server_random() or b""
        )
        self.outcome = Outcome(peer, secrets, self._flight, self._written)

    def _send_flight(self, now: float) -> None:
        flight = self._take_written()
        if flight:
            self._flight = flight
            self.outgoing += flight
            self._sent_at, self._resend_after, self._resend_at = now, RESEND_FIRST, now + RESEND_FIRST

    def _take_written(self) -> list[bytes]:
        try:
            written = records.split(self._ssl.bio_read(_FLIGHT))
        except SSL.WantReadError:
            return []
        self._written += [record for record in written if records.number(record) >= records.EPOCH]
        del self._written[:-MAX_WRITTEN]
        return records.pack(written, MTU)


def _message_type(record: bytes) -> int | None:
    """Of which type a plaintext handshake message is; None where a record begins none."""
    plain = record[0] == records.HANDSHAKE and records.number(record) < records.EPOCH
    return record[records.HEADER] if plain and len(record) > records.HEADER else None


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for what went wrong, without its function names."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(dict.fromkeys(str(entry[-1]) for entry in queue if entry)) or "protocol error"
