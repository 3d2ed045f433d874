"""Listening: sessions that others start, with nothing signaled before (the ufrag and password are in the join code)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from atmosphere.ice.credentials import IceCredentials

if TYPE_CHECKING:
    from atmosphere.ice.session import IceSession

__all__ = ["Listener", "PasswordFor"]

logger = logging.getLogger(__name__)

PasswordFor = Callable[[str], str | None]
"""The password that belongs to a dialer's ufrag, or None to refuse that dialer."""

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")


class ListenerHome(Protocol):
    """What a listener needs of the endpoint it belongs to."""

    def session_of(self, listener: Listener, remote_ufrag: str, origin: str | None) -> IceSession | None:
        """The session of that dialer, made when there is none; None when it may not be."""

    def forget_listener(self, listener: Listener) -> None:
        """No new sessions for it."""


class Listener:
    """Takes checks for one ufrag; made by `IceEndpoint.listen`. Its sessions outlive it."""

    def __init__(
        self,
        home: ListenerHome,
        local: IceCredentials,
        password_for: PasswordFor,
        on_session: Callable[[IceSession], None],
    ) -> None:
        self.local = local
        self._home = home
        self._password_for = password_for
        self._on_session = on_session

    @property
    def ufrag(self) -> str:
        """The username fragment it listens on."""
        return self.local.ufrag

    def session(self, remote_ufrag: str) -> IceSession | None:
        """The session of the dialer with that ufrag, made (and told to `on_session`) when there is none.

        None when the dialer is refused, when its session ended lately, or when too many are waiting already.
        """
        return self._home.session_of(self, remote_ufrag, None)

    def close(self) -> None:
        """Listen no more. Twice is fine."""
        self._home.forget_listener(self)

    def remote_credentials(self, remote_ufrag: str) -> IceCredentials | None:
        """What that dialer must know, or None: refused, or not a ufrag (RFC 8839 §5.4)."""
        if not _UFRAG.fullmatch(remote_ufrag):
            return None
        try:
            password = self._password_for(remote_ufrag)
        except Exception:
            # Whoever listens made a mistake; a stranger's datagram must not carry it into the loop.
            logger.exception("the password of a dialer")
            return None
        return IceCredentials(remote_ufrag, password) if password is not None else None

    def announce(self, session: IceSession) -> None:
        """Tell `on_session` about a new session."""
        try:
            self._on_session(session)
        except Exception:
            # As above; the session stays until its time for connecting is over.
            logger.exception("%r: the listener failed", session)
