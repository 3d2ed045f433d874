"""Who may use the relay: a list of users, or coturn's time-limited credentials. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from signaling.turn_credentials import password_of

MAX_USERNAME = 508
"""Bytes; RFC 8489 §14.3 has fewer than 509."""


class Users(Protocol):
    """Knows passwords. May also say whom a username counts as, see `identity_of`."""

    def password(self, username: str, now_unix: float) -> str | None:
        """The password of a user, or None for one who is unknown or whose time is over."""
        ...


def identity_of(users: Users, username: str) -> str:
    """Whom a username counts as for quotas: itself, unless its `Users` have an `identity(username)`."""
    identity: Callable[[str], str] | None = getattr(users, "identity", None)
    return username if identity is None else identity(username)


class StaticUsers:
    """Names and passwords that do not change."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = dict(passwords)

    def __repr__(self) -> str:
        return f"StaticUsers({len(self._passwords)})"

    def password(self, username: str, now_unix: float) -> str | None:
        """As in `Users`."""
        return self._passwords.get(username)


class RestUsers:
    """coturn's REST form (`use-auth-secret`): the username is `expiry[:id]`, the password follows from a secret.

    An expiry more than `max_ttl` seconds ahead is refused: nobody mints those by intent. Counted by id, so that fresh
    credentials of one user are not a fresh quota.
    """

    def __init__(self, secret: str, max_ttl: float = 30 * 86400.0) -> None:
        if not secret:
            raise ValueError("an empty secret would let everybody in")
        self._secret = secret
        self._max_ttl = max_ttl

    def __repr__(self) -> str:
        return "RestUsers()"

    def password(self, username: str, now_unix: float) -> str | None:
        """As in `Users`."""
        expiry = username.partition(":")[0]
        if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= 12):
            return None
        if not now_unix < int(expiry) <= now_unix + self._max_ttl:
            return None
        return password_of(self._secret, username)

    def identity(self, username: str) -> str:
        """The id, or all there is when there is none."""
        expiry, _, name = username.partition(":")
        return f":{name}" if name and expiry.isdigit() else username


class Several:
    """Several sources of users; the first that knows a name answers for it."""

    def __init__(self, sources: Iterable[Users]) -> None:
        self._sources = tuple(sources)

    def password(self, username: str, now_unix: float) -> str | None:
        """As in `Users`."""
        found = (source.password(username, now_unix) for source in self._sources)
        return next((password for password in found if password is not None), None)

    def identity(self, username: str) -> str:
        """As the first says that has an opinion."""
        names = (identity_of(source, username) for source in self._sources)
        return next((name for name in names if name != username), username)
