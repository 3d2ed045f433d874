"""Long-term credentials (RFC 8489 §9.2): the challenge of a server, a client's answer to it. Pure.

    client  →  request
    server  →  401, REALM, NONCE, PASSWORD-ALGORITHMS
    client  →  request, USERNAME or USERHASH, REALM, NONCE, PASSWORD-ALGORITHMS, PASSWORD-ALGORITHM, integrity

A server that knows more than RFC 5389 did says so in the first 13 characters of its nonce. A nonce is authentic (the
server knows its own, and integrity covers it), so that nobody on the way can make both sides fall back to the older
mechanisms by leaving out the attributes that offer the newer ones (§9.2.1).
"""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass, field

from atmosphere.errors import DecodeError
from atmosphere.stun.integrity import Algorithm, PasswordAlgorithm, long_term_key, userhash
from atmosphere.stun.message import Class, Message

COOKIE = b"obMatJos2"
COOKIE_SIZE = len(COOKIE) + 4

OFFERED: tuple[Algorithm, ...] = ((PasswordAlgorithm.SHA256, b""), (PasswordAlgorithm.MD5, b""))
"""What a server of ours lists in PASSWORD-ALGORITHMS, best first. Who sends none at all is taken for MD5 (§9.2.4)."""

_CREDENTIALS = (
    *("USERNAME", "USERHASH", "REALM", "NONCE", "PASSWORD-ALGORITHM", "PASSWORD-ALGORITHMS"),
    *("MESSAGE-INTEGRITY", "MESSAGE-INTEGRITY-SHA256", "FINGERPRINT"),
)
_KNOWN = frozenset({(int(algorithm), b"") for algorithm in PasswordAlgorithm})


class Feature(enum.IntFlag):
    """The security features that a nonce announces, in 24 bits of which the most significant is bit 0 (§18.1)."""

    NONE = 0
    PASSWORD_ALGORITHMS = 1 << 23
    USERNAME_ANONYMITY = 1 << 22


def nonce_cookie(features: Feature) -> bytes:
    """The 13 bytes that begin the nonce of a server with these `features`."""
    return COOKIE + base64.b64encode(int(features).to_bytes(3))


def features_of(nonce: bytes) -> Feature | None:
    """What `nonce` announces; None where it has no cookie, as from a server of RFC 5389. Unknown bits are left out."""
    if not nonce.startswith(COOKIE) or len(nonce) < COOKIE_SIZE:
        return None
    try:
        bits = int.from_bytes(base64.b64decode(nonce[len(COOKIE) : COOKIE_SIZE], validate=True))
    except ValueError:
        return None
    return Feature(bits & (Feature.PASSWORD_ALGORITHMS | Feature.USERNAME_ANONYMITY))


def bid_down(response: Message) -> bool:
    """Whether somebody took PASSWORD-ALGORITHMS out of `response`: its nonce says that it had them (§9.2.5)."""
    features = features_of(response.attributes.get("NONCE", b"")) or Feature.NONE
    return bool(features & Feature.PASSWORD_ALGORITHMS) and "PASSWORD-ALGORITHMS" not in response.attributes


def request_algorithm(request: Message, offered: tuple[Algorithm, ...] = OFFERED) -> PasswordAlgorithm | None:
    """A server's question: what the key of `request` is made by; None says that 400 is the answer (§9.2.4).

    Without either attribute it is MD5, as for a client of RFC 5389. Else both must be there, the list being the one
    that was `offered`, unchanged, and the algorithm one of the list.
    """
    chosen, echoed = (request.attributes.get(name) for name in ("PASSWORD-ALGORITHM", "PASSWORD-ALGORITHMS"))
    if chosen is None and echoed is None:
        return PasswordAlgorithm.MD5
    if echoed != offered or chosen not in offered or chosen not in _KNOWN:
        return None
    return PasswordAlgorithm(chosen[0])


def sign_answer(answer: Message, request: Message, key: bytes) -> None:
    """Sign the answer to an authenticated `request`: by SHA-256 where it chose an algorithm, else by SHA-1 (§9.2.4)."""
    if "PASSWORD-ALGORITHM" in request.attributes:
        answer.add_message_integrity_sha256(key)
    else:
        answer.add_message_integrity(key)


@dataclass(frozen=True)
class Challenge:
    """What a server wants to see before it does anything: take it from a 401 or 438 with `of`, answer with `sign`."""

    realm: str
    nonce: bytes = field(repr=False)
    algorithms: tuple[Algorithm, ...] | None = None

    @classmethod
    def of(cls, response: Message) -> Challenge:
        """The challenge in an error response; raises DecodeError where there is none that may be answered (§9.2.5).

        Then a retry would be wrong: somebody may be trying to weaken the credentials.
        """
        realm, nonce = (response.attributes.get(name) for name in ("REALM", "NONCE"))
        if response.message_class is not Class.ERROR or response.error_code not in (401, 438):
            raise DecodeError("not a challenge")
        if realm is None or nonce is None:
            raise DecodeError("a challenge without realm or nonce")
        if bid_down(response):
            raise DecodeError("the nonce announces password algorithms and the challenge has none")
        algorithms = response.attributes.get("PASSWORD-ALGORITHMS")
        if algorithms is not None and not any(entry in _KNOWN for entry in algorithms):
            raise DecodeError("a challenge with unknown password algorithms only")
        return cls(realm, nonce, algorithms)

    @property
    def algorithm(self) -> PasswordAlgorithm:
        """How the key is made: the server's first that we know, MD5 where it lists none."""
        known = (entry for entry in self.algorithms or () if entry in _KNOWN)
        return PasswordAlgorithm(next(known, (PasswordAlgorithm.MD5, b""))[0])

    @property
    def anonymous(self) -> bool:
        """Whether the server wants USERHASH in place of USERNAME."""
        return bool((features_of(self.nonce) or Feature.NONE) & Feature.USERNAME_ANONYMITY)

    def key(self, username: str, password: str) -> bytes:
        """The key that signs requests, and the answers to them."""
        return long_term_key(username, self.realm, password, self.algorithm)

    def sign(self, request: Message, username: str, password: str) -> bytes:
        """Put credentials, integrity and FINGERPRINT at the end of `request`; the key, to verify its answer with."""
        for name in _CREDENTIALS:  # of an earlier try
            request.attributes.pop(name, None)
        if self.anonymous:
            request.attributes["USERHASH"] = userhash(username, self.realm)
        else:
            request.attributes["USERNAME"] = username
        request.attributes |= {"REALM": self.realm, "NONCE": self.nonce}
        key = self.key(username, password)
        if self.algorithms is None:
            request.add_message_integrity(key)
        else:
            request.attributes["PASSWORD-ALGORITHMS"] = self.algorithms
            request.attributes["PASSWORD-ALGORITHM"] = (int(self.algorithm), b"")
            request.add_message_integrity_sha256(key)
        return key
