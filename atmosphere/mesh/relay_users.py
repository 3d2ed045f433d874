"""Who may use a member's relay, and by which password: the members of the mesh, each by the secret of the two. Pure.

Both sides derive the password (credentials.py), so it needs no distribution; and the relay asks the roster anew at each
request, so it ends with the membership. Whoever holds a join code of the relay's own node that can still be used may
use it too, under the invite's id: where UDP is blocked, a joiner could not become a member otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from atmosphere.credentials import DialSecret
from atmosphere.errors import DecodeError
from atmosphere.identity import Identity

__all__ = ["RelayUsers"]

REMEMBERED = 1024
"""Passwords kept, for the Diffie-Hellman takes longer than all else in a request."""


class RelayUsers:
    """The members as users of a TURN server (turn/server/users.py): user name = node id."""

    def __init__(
        self, identity: Identity, mesh_id: Callable[[], bytes], public_key: Callable[[str], bytes | None]
    ) -> None:
        self._identity = identity
        self._mesh_id = mesh_id
        self._public_key = public_key
        self.invite_secret: Callable[[str], DialSecret | None] = lambda invite_id: None
        self._derived = lru_cache(maxsize=REMEMBERED)(self._derive)

    def password(self, username: str, now_unix: float) -> str | None:
        """The password of a member, or of who holds the invite of that id, at our relay; None for everybody else."""
        key = self._public_key(username) if username != self._identity.node_id else None
        if key is not None:
            return self._derived(self._mesh_id(), key, self._identity.node_id)
        secret = self.invite_secret(username)
        return None if secret is None else secret.turn_password

    def own_password(self, host_id: str) -> str | None:
        """Our password at the relay of a member; None when it is none."""
        key = self._public_key(host_id)
        return None if key is None else self._derived(self._mesh_id(), key, host_id)

    def _derive(self, mesh_id: bytes, peer_key: bytes, host_id: str) -> str | None:
        try:
            return DialSecret.for_pair(self._identity, peer_key, mesh_id).hosted_by(host_id).turn_password
        except DecodeError:  # a membership may be issued for what is no key
            return None
