"""The state cookie: what the answer to an INIT says, signed, so that nothing is remembered before it comes back.

RFC 9260 section 5.1.3. It is good for a minute and for this one association.
"""

from __future__ import annotations

import hmac
import struct
from typing import NamedTuple

from atmosphere.sctp.parameters import Features

LIFETIME = 60.0
"""Seconds for which a cookie is taken."""

_BODY = struct.Struct("!LLLLHHBd")
_MAC = 32


class Cookie(NamedTuple):
    """Both tags, and what the peer's INIT said."""

    local_tag: int
    peer_tag: int
    peer_tsn: int
    peer_window: int
    peer_outbound: int
    peer_inbound: int
    features: Features
    made_at: float

    def encode(self, key: bytes) -> bytes:
        """The signed bytes."""
        flags = sum(bit << place for place, bit in enumerate(self.features))
        body = _BODY.pack(*self[:6], flags, self.made_at)
        return body + hmac.digest(key, body, "sha256")


def decode(data: bytes, key: bytes) -> Cookie | None:
    """A cookie that we made; None for any other."""
    body, mac = data[: _BODY.size], data[_BODY.size :]
    if len(mac) != _MAC or not hmac.compare_digest(hmac.digest(key, body, "sha256"), mac):
        return None
    tag, peer_tag, tsn, window, outbound, inbound, flags, made_at = _BODY.unpack(body)
    features = Features(*(bool(flags >> place & 1) for place in range(len(Features._fields))))
    return Cookie(tag, peer_tag, tsn, window, outbound, inbound, features, made_at)
