"""OpenSSL's settings for the handshakes of one identity.

DTLS 1.2 exactly: every WebRTC stack speaks it, and its record header is what `records` can split. Both sides show a
certificate and *any* self-signed one is taken; who the peer is follows from its key, and whether that is welcome is for
the caller of all this to decide (docs/SECURITY.md).
"""

from __future__ import annotations

from typing import Any, Protocol
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from atmosphere.dtls.secrets import SUITES

DTLS_1_2 = 0xFEFD
ALPN = b"atmosphere/1"
"""What our own nodes offer each other (RFC 7301); any other WebRTC stack does not know it and passes over it."""
_SRTP_PROFILES = b"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"


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


def context_of(identity: Keys, *, srtp: bool) -> SSL.Context:
    """The settings, made once; with `srtp` the use_srtp extension is offered (RFC 5764)."""
    contexts = _contexts.setdefault(identity, {})
    context = contexts.get(srtp)
    if context is None:
        context = contexts[srtp] = _context(identity, srtp)
    return context


def _context(identity: Keys, srtp: bool) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(DTLS_1_2)
    context.set_max_proto_version(DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_QUERY_MTU)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
    context.use_certificate(identity.certificate)
    context.use_privatekey(identity.private_key)
    context.set_cipher_list(":".join(SUITES).encode())
    if srtp:
        context.set_tlsext_use_srtp(_SRTP_PROFILES)
    else:
        context.set_alpn_protos([ALPN])
        context.set_alpn_select_callback(_choose)
    return context


def _accept_any(_connection: SSL.Connection, _certificate: object, _error: int, _depth: int, _ok: int) -> bool:
    """Take every certificate: a self-signed one proves possession of its key, and that is all that is asked of it."""
    return True


def _choose(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    """Take what our own nodes offer, and let anything else pass without an answer."""
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
