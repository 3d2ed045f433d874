"""The invites of a node, and who may redeem them.

A joiner proves an invite's secret inside DTLS with HMAC-SHA256, keyed with the secret's proof key
(atmosphere.credentials), over "atmosphere redeem v1", the session's exporter (RFC 5705: label EXPORTER_LABEL, no
context, 32 bytes) and the joiner's SubjectPublicKeyInfo. The exporter binds the proof to this very handshake, so it
serves nobody else and never again.

A use is counted when `redeem` returns; the caller has the table on disk before it grants anything, and calls
`Redemption.undo` when that fails. A joiner whose answer got lost may redeem again for a while: the same node is the
same use.
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from dataclasses import dataclass
from typing import Annotated

import msgspec

from atmosphere.credentials import DialSecret
from atmosphere.errors import CodeError, DecodeError, Refused
from atmosphere.identity import node_id_of

EXPORTER_LABEL = b"EXPORTER-atmosphere-redeem"
EXPORTER_BYTES = 32
MAX_INVITES = 256
REPEAT = 600.0
"""For how many seconds after its use a joiner may ask again."""
MOVING = 180.0
"""For how many seconds after its use a joiner may still hold what the invite got it, a relayed address say: it asks for
such under its own name now, which takes a while."""
KEPT = 7 * 86400.0
"""For how many seconds an invite that is over is remembered, so that a late joiner hears what is wrong with it."""
MAX_WRONG = 16
WRONG_PERIOD = 60.0
"""How many wrong proofs, in how many seconds, an invite bears before it answers nobody for a while."""

_LABEL = b"atmosphere redeem v1"


class Invite(msgspec.Struct):
    """An invitation for so many joiners until such a time. Its repr hides the secret."""

    secret: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    uses: Annotated[int, msgspec.Meta(ge=1)]
    created_at: float
    expires_at: float
    """Unix seconds; 0: never."""
    revoked: bool = False
    joiners: dict[str, float] = {}
    """Who redeemed it, by node id, and when."""

    def __repr__(self) -> str:
        return f"Invite(id={self.id}, uses={self.uses}, used={self.used})"

    @property
    def dial_secret(self) -> DialSecret:
        """What host and joiner derive their credentials from."""
        return DialSecret(self.secret)

    @property
    def id(self) -> str:
        """The public name: 16 hexadecimal digits."""
        return self.dial_secret.id

    @property
    def used(self) -> int:
        """How many uses are gone."""
        return len(self.joiners)

    def is_usable(self, now: float) -> bool:
        """Whether somebody may still redeem it; also one who did and lost the answer."""
        waiting = any(now < when + REPEAT for when in self.joiners.values())
        return not self.revoked and not self.is_expired(now) and (self.used < self.uses or waiting)

    def is_spent(self, now: float) -> bool:
        """Whether nobody may redeem it any more, and whoever did has had the time to do without it."""
        moving = any(now < when + MOVING for when in self.joiners.values())
        return self.revoked or not (moving or self.is_usable(now))

    def is_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return bool(self.expires_at) and now >= self.expires_at


@dataclass(frozen=True)
class Redemption:
    """A use that is counted: to be put on disk, then granted."""

    invite: Invite
    node_id: str
    repeated: bool
    """Whether this joiner was counted before."""

    def undo(self) -> None:
        """Give the use back, because it could not be put on disk and is not granted."""
        if not self.repeated:
            self.invite.joiners.pop(self.node_id, None)


def prove(secret: DialSecret, exporter: bytes, joiner_public_key: bytes) -> bytes:
    """The joiner's proof, 32 bytes, that it knows the secret in this very DTLS session."""
    return hmac.digest(secret.proof_key, _LABEL + exporter + joiner_public_key, "sha256")


class Invites:
    """A node's invites."""

    def __init__(self, invites: list[Invite] | None = None) -> None:
        self._invites = {invite.id: invite for invite in invites or []}
        self._wrong: dict[str, deque[float]] = {}

    @classmethod
    def from_bytes(cls, data: bytes) -> Invites:
        """The table that `to_bytes` wrote; DecodeError for anything else."""
        try:
            return cls(msgspec.json.decode(data, type=list[Invite]))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise DecodeError("not a table of invites") from error

    def to_bytes(self) -> bytes:
        """The table as JSON. Secret."""
        return msgspec.json.encode(list(self._invites.values()))

    def all(self) -> list[Invite]:
        """Every invite, oldest first, those that are over too."""
        return list(self._invites.values())

    def usable(self, now: float) -> list[Invite]:
        """The invites that are worth listening for."""
        return [invite for invite in self._invites.values() if invite.is_usable(now)]

    def get(self, invite_id: str) -> Invite | None:
        """The invite of this id."""
        return self._invites.get(invite_id)

    def create(self, uses: int, expires_at: float, now: float, secret: bytes | None = None) -> Invite:
        """A new invite; Refused when there are too many, ValueError for less than one use."""
        if uses < 1:
            raise ValueError("an invite is for at least one use")
        self.sweep(now)
        if len(self._invites) >= MAX_INVITES:
            raise Refused(f"there are {MAX_INVITES} join codes outstanding", hint="atmosphere invites revoke ID")
        invite = Invite(secret or secrets.token_bytes(16), uses, now, expires_at)
        self._invites[invite.id] = invite
        return invite

    def revoke(self, invite_id: str) -> Invite:
        """Take an invite back; CodeError (unknown) when there is none of that id."""
        invite = self._invites.get(invite_id)
        if invite is None:
            raise _unknown()
        invite.revoked = True
        return invite

    def used_by(self, node_id: str) -> list[Invite]:
        """The invites that a node redeemed. Whoever removes the node revokes them: it still knows their secrets."""
        return [invite for invite in self._invites.values() if node_id in invite.joiners]

    def sweep(self, now: float) -> bool:
        """Forget the invites that were over long ago; whether there were any."""
        old = [invite_id for invite_id, invite in self._invites.items() if _over_since(invite) + KEPT < now]
        for invite_id in old:
            del self._invites[invite_id]
            self._wrong.pop(invite_id, None)
        return bool(old)

    def redeem(self, invite_id: str, proof: bytes, exporter: bytes, joiner_public_key: bytes, now: float) -> Redemption:
        """Count a use for the joiner of this DTLS session; CodeError (unknown, revoked, expired, used) when it may not.

        Only who knows the secret learns more than "unknown".
        """
        invite = self._invites.get(invite_id)
        if invite is None or not self._is_proved(invite, proof, exporter, joiner_public_key, now):
            raise _unknown()
        if invite.revoked:
            raise CodeError("the join code was revoked", reason="revoked", hint=_ANOTHER)
        if invite.is_expired(now):
            raise CodeError("the join code has expired", reason="expired", hint=_ANOTHER)
        node_id = node_id_of(joiner_public_key)
        repeated = now < invite.joiners.get(node_id, -REPEAT) + REPEAT
        if not repeated and (node_id in invite.joiners or invite.used >= invite.uses):
            raise CodeError("the join code is used up", reason="used", hint=_ANOTHER)
        invite.joiners.setdefault(node_id, now)
        return Redemption(invite, node_id, repeated)

    def _is_proved(self, invite: Invite, proof: bytes, exporter: bytes, public_key: bytes, now: float) -> bool:
        wrong = self._wrong.setdefault(invite.id, deque(maxlen=MAX_WRONG))
        if len(wrong) == MAX_WRONG and now < wrong[0] + WRONG_PERIOD:
            return False
        right = hmac.compare_digest(prove(invite.dial_secret, exporter, public_key), proof)
        if not right:
            wrong.append(now)
        return right


def _over_since(invite: Invite) -> float:
    """When an invite ended, as far as can be told; never, for one that has not."""
    ends = [invite.expires_at] if invite.expires_at else []
    if invite.revoked:
        ends.append(invite.created_at)
    if invite.used >= invite.uses:
        ends.append(max(invite.joiners.values()))
    return min(ends, default=float("inf"))


def _unknown() -> CodeError:
    return CodeError("the host does not know this join code", reason="unknown", hint=_ANOTHER)


_ANOTHER = "Ask for a new one: atmosphere join, on a machine of the mesh"
