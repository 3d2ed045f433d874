"""Who has which address: a session's remote proves one to be its own, and two sessions may both claim it. Pure.

Two sessions with one remote endpoint (both sides dialed at once) would share an address, and DTLS has nothing to tell
them apart. (Sessions of one link may share it: either brings its datagrams.) As soon as both are seen to be alive, one
fails as superseded: the younger where one is clearly older, so that no later dial cuts a link, else the one whose
dialer has the greater ufrag. Both ends judge alike. While only one is alive (the remote was restarted) that one has the
address.
What decides is answers to our checks, for they prove that the remote receives at that address: a check can be sent with
a forged source, and takes an address only from a session that has no path there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from atmosphere.ice.router import Claim

if TYPE_CHECKING:
    from atmosphere.ice.session import IceSession

__all__ = ["SUPERSEDED", "Claims"]

SUPERSEDED = "superseded by another session with the same peer"
CLEARLY_OLDER = 10.0
"""Seconds; signaling and round trips make the ages that two ends see differ by less."""

Address = tuple[str, int]


class Claims:
    """`routes` has the session that each address belongs to, by base.

    `showed(base, source)` is called when a remote shows itself to a session in a new place.
    """

    def __init__(self, showed: Callable[[int, Address], None]) -> None:
        self.routes: dict[tuple[int, Address], IceSession] = {}
        self._showed = showed

    def claim(self, session: IceSession, base: int, source: Address, *, proven: bool, now: float) -> None:
        """The remote showed itself to `session` at `source`; settles who of two sessions has that address."""
        if session.is_over:
            return
        key = (base, source)
        claim = session.claims.get(key)
        if claim is None:
            claim = session.claims[key] = Claim(now)
            self._showed(base, source)
        if proven:
            claim.answered_at = now
        owner = self.routes.get(key)
        if owner is session:
            return
        if owner is None or (not proven and owner.state != "connected"):
            self.routes[key] = session
        elif proven and owner.kin is not None and owner.kin is session.kin:
            self.routes[key] = session  # one link has both, and takes datagrams from either
        elif proven:
            self._contest(key, owner, session)

    def forget(self, session: IceSession, base: int, source: Address) -> None:
        """What comes from `source` is not the session's any more, until the remote shows itself there anew."""
        session.claims.pop((base, source), None)
        if self.routes.get((base, source)) is session:
            del self.routes[base, source]
            for heir in session.kin.sessions if session.kin is not None else ():
                if heir is not session and (base, source) in heir.claims:
                    self.routes[base, source] = heir

    def release(self, session: IceSession) -> None:
        """The session is over, and has no address any more."""
        for key in list(session.claims):
            self.forget(session, *key)

    def remove_base(self, base: int) -> None:
        """Nothing comes to that base any more."""
        for key in [key for key in self.routes if key[0] == base]:
            del self.routes[key]

    def _contest(self, key: tuple[int, Address], owner: IceSession, session: IceSession) -> None:
        """Both had answers from that address. If the one still had after the other showed itself, both are alive."""
        claims = (owner.claims[key], session.claims[key])
        if max(claim.seen_at for claim in claims) < min(claim.answered_at for claim in claims):
            elder, younger = sorted((owner, session), key=lambda one: one.created_at)
            stays, goes = sorted((owner, session), key=lambda one: one.dialer_ufrag)
            if younger.created_at - elder.created_at >= CLEARLY_OLDER:
                stays, goes = elder, younger
            self.routes[key] = stays
            goes.fail(SUPERSEDED)
        else:
            self.routes[key] = session
