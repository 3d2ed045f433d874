"""Ports kept for whoever brings the token (RFC 8656 §7.2, EVEN-PORT with its R bit). Pure."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from atmosphere.turn.server.allocation import Relayed
from atmosphere.turn.server.quota import Account

LIFETIME = 30.0


@dataclass(slots=True)
class Reservation:
    """One open relayed address that no allocation has yet; it counts as one of its user's, at `host`."""

    relayed: Relayed
    account: Account
    host: str
    until: float


class Reservations:
    """By token. `release(reservation)` is called for each that nobody fetched in time."""

    def __init__(self, release: Callable[[Reservation], None]) -> None:
        self._release = release
        self._by_token: dict[bytes, Reservation] = {}

    def __len__(self) -> int:
        return len(self._by_token)

    def keep(self, relayed: Relayed, account: Account, host: str, now: float) -> bytes:
        """Keep an address for `LIFETIME` seconds; the token that fetches it."""
        token = secrets.token_bytes(8)
        self._by_token[token] = Reservation(relayed, account, host, now + LIFETIME)
        return token

    def fetch(self, token: bytes, identity: str) -> Reservation | None:
        """The reservation, once, if it is this user's."""
        found = self._by_token.get(token)
        if found is None or found.account.identity != identity:
            return None
        return self._by_token.pop(token)

    def deadline(self) -> float | None:
        """When the next one is over: they all last equally long, so the oldest."""
        return next((one.until for one in self._by_token.values()), None)

    def expire(self, now: float) -> None:
        """Release what nobody fetched."""
        for token in [token for token, one in self._by_token.items() if one.until <= now]:
            self._release(self._by_token.pop(token))

    def drop(self, identity: str | None = None) -> None:
        """Release one user's, or all."""
        for token in [token for token, one in self._by_token.items() if identity in (None, one.account.identity)]:
            self._release(self._by_token.pop(token))
