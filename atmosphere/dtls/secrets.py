"""What a DTLS 1.2 handshake leaves behind: a master secret, and what is derived from it (RFC 5246, RFC 5705)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305


@dataclass(frozen=True, slots=True)
class Suite:
    """What of a cipher suite matters once its handshake is over."""

    aead: type[AESGCM] | type[ChaCha20Poly1305]
    key: int
    """Bytes in a key."""
    iv: int
    """Bytes of a nonce that both ends derive; the rest of its 12 stands in each record (RFC 5288 section 3)."""
    hash: Literal["sha256", "sha384"]
    """Of the pseudorandom function."""


SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": Suite(AESGCM, 16, 4, "sha256"),
    "ECDHE-ECDSA-AES256-GCM-SHA384": Suite(AESGCM, 32, 4, "sha384"),
    "ECDHE-ECDSA-CHACHA20-POLY1305": Suite(ChaCha20Poly1305, 32, 12, "sha256"),
}
"""The cipher suites that we take (RFC 5289, RFC 7905) by OpenSSL's names, the preferred ones first."""


class Half(NamedTuple):
    """The keys of one direction."""

    aead: AESGCM | ChaCha20Poly1305
    iv: bytes


class Secrets(NamedTuple):
    """The outcome of a handshake."""

    suite: Suite
    master: bytes
    client_random: bytes
    server_random: bytes

    def __repr__(self) -> str:
        """Nothing that a log should not have."""
        return "Secrets(…)"

    def halves(self) -> tuple[Half, Half]:
        """The keys of what the client writes, and of what the server writes (RFC 5246 section 6.3)."""
        suite, key = self.suite, self.suite.key
        block = self._derive(b"key expansion", self.server_random + self.client_random, 2 * (key + suite.iv))
        ivs = block[2 * key :]
        return (
            Half(suite.aead(block[:key]), ivs[: suite.iv]),
            Half(suite.aead(block[key : 2 * key]), ivs[suite.iv :]),
        )

    def export(self, label: bytes, length: int) -> bytes:
        """`length` bytes that only the two ends of this very handshake know, without a context (RFC 5705 section 4)."""
        return self._derive(label, self.client_random + self.server_random, length)

    def _derive(self, label: bytes, seed: bytes, length: int) -> bytes:
        """The pseudorandom function (RFC 5246 section 5)."""
        seed = label + seed
        made, link = b"", seed
        while len(made) < length:
            link = hmac.digest(self.master, link, self.suite.hash)
            made += hmac.digest(self.master, link + seed, self.suite.hash)
        return made[:length]
