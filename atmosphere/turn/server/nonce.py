"""Nonces that nobody has to remember (RFC 8489 §9.2): each is a time, and a code over it and the client's address.

    nonce = "obMatJos2" | security features, 4 characters (RFC 8489 §9.2) | base64url of: seconds (4) | code (8)

The code is the beginning of an HMAC-SHA256 under a key of this process. So a nonce serves one address and port only,
for as long as it lasts, and whoever shows one has received something that was sent to its address. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from typing import Literal

from atmosphere.stun.longterm import Feature, nonce_cookie
from atmosphere.turn.server.flow import Address

Verdict = Literal["fresh", "stale", "foreign"]

_BODY = struct.Struct("!I8s")
_TEXT = 16


class Nonces:
    """Makes and judges nonces."""

    def __init__(self, key: bytes, lifetime: float, features: Feature = Feature.PASSWORD_ALGORITHMS) -> None:
        self._key = key
        self._lifetime = lifetime
        self._prefix = nonce_cookie(features)

    def make(self, client: Address, now: float) -> bytes:
        """A nonce for `client`; `now` in monotonic seconds."""
        second = int(now) & 0xFFFFFFFF
        return self._prefix + base64.urlsafe_b64encode(_BODY.pack(second, self._code(second, client)))

    def judge(self, nonce: bytes, client: Address, now: float) -> Verdict:
        """`fresh`; `stale`: made for this client, too long ago; `foreign`: not made for it, or not by us."""
        text = nonce[len(self._prefix) :]
        if len(text) != _TEXT or not nonce.startswith(self._prefix):
            return "foreign"
        try:
            second, code = _BODY.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError):
            return "foreign"
        if not hmac.compare_digest(code, self._code(second, client)):
            return "foreign"
        age = (int(now) - second) & 0xFFFFFFFF
        return "fresh" if age <= self._lifetime else "stale"

    def _code(self, second: int, client: Address) -> bytes:
        text = f"{second} {client[1]} {client[0]}"
        return hmac.digest(self._key, text.encode(), "sha256")[:8]
