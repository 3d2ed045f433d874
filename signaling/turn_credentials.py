"""Time-limited TURN credentials in coturn's REST form (`use-auth-secret`, draft-uberti-behave-turn-rest-00).

    username = expiry[:id]                           expiry in Unix seconds, decimal
    password = base64(HMAC-SHA1(secret, username))

Whoever knows the secret, coturn or our own relay, checks a password without having seen the user before. SHA-1 is what
the form prescribes; HMAC-SHA1 is not known to be weak.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta, Struct

_URI = "^turns?:[^\\s/@?]+(\\?[^\\s@]*)?\\Z"
TurnUri = Annotated[str, Meta(max_length=256, pattern=_URI)]


class TurnServer(Struct, frozen=True):
    """One TURN service and how to log in to it; `ttl` is the seconds that the password lasts from its receipt."""

    uris: Annotated[list[TurnUri], Meta(min_length=1, max_length=8)]
    username: Annotated[str, Meta(max_length=256)]
    password: Annotated[str, Meta(max_length=256)]
    ttl: Annotated[float, Meta(ge=0, le=10 * 86400)]

    def __repr__(self) -> str:
        # The password must not reach a log.
        return f"TurnServer(uris={self.uris!r}, username={self.username!r}, ttl={self.ttl!r})"


@dataclass(frozen=True)
class TurnCredentialSource:
    """Mints credentials for `uris` under the secret that their servers share; they last `ttl` seconds."""

    uris: tuple[str, ...]
    secret: str = field(repr=False)
    ttl: float = 3600.0

    def mint(self, node_id: str, now_unix: float) -> TurnServer:
        """Credentials for one node; the id in the username lets the TURN server keep quotas by node."""
        username = f"{int(now_unix + self.ttl)}:{node_id}"
        return TurnServer(list(self.uris), username, password_of(self.secret, username), self.ttl)


def password_of(secret: str, username: str) -> str:
    """The one password that belongs to a username under a secret."""
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")


def is_turn_uri(text: str) -> bool:
    """Whether the text looks like a TURN URI (RFC 7065; its query may hold a path) that fits into a message."""
    return len(text) <= 256 and re.search(_URI, text) is not None
