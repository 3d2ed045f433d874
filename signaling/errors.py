"""What can go wrong in signaling, and whose fault it is.

SignalingError             everything this package raises on purpose; the message is one line for a person
├── DecodeError            a frame that is no message of the protocol (the sender's fault)
├── AuthError              a key or a signature that proves nothing (the client's fault)
├── CertificateError       the files of a certificate cannot be used (the operator's fault)
├── InvalidURL             text that names no signaling server (the caller's fault)
├── NotConnected           no server took the message in time
└── Rejected               the server said no; `code` says why (see messages.ERROR_CODES)
"""

from __future__ import annotations

from signaling.printable import printable


class SignalingError(Exception):
    """Something went wrong; the message is one line for a person."""


class DecodeError(SignalingError, ValueError):
    """A frame that is no message of the protocol."""


class AuthError(SignalingError):
    """A key or a signature that proves nothing."""


class CertificateError(SignalingError):
    """The files of a TLS certificate cannot be used."""


class InvalidURL(SignalingError, ValueError):
    """Text that does not name a signaling server."""


class NotConnected(SignalingError):
    """No server took the message in time."""


class Rejected(SignalingError):
    """The server said no; `code` is one of messages.ERROR_CODES, or a newer server's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{printable(text)} ({printable(code)})")
        self.code = code
