"""ICE credentials (RFC 8445 §5.3): what lets one side recognize the other's checks."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

__all__ = ["IceCredentials"]

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """A username fragment and its password; the password is kept out of `repr`.

    The fragment names the session in the USERNAME of every check, the password keys its MESSAGE-INTEGRITY.
    """

    ufrag: str
    password: str = field(repr=False)

    @classmethod
    def random(cls) -> IceCredentials:
        """Fresh credentials: 48 bits of fragment and 144 of password (RFC 8445 §5.3 asks for 24 and 128)."""
        return cls(_random_text(8), _random_text(24))

    @property
    def key(self) -> bytes:
        """The password as the key of MESSAGE-INTEGRITY."""
        return self.password.encode()


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
