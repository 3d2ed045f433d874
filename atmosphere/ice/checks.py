"""Connectivity checks on the wire: requests, answers, and who wins a role conflict (RFC 8445 §7).

A check is a Binding request with USERNAME "their ufrag:our ufrag", PRIORITY, ICE-CONTROLLING or ICE-CONTROLLED (a
64-bit tie-breaker), MESSAGE-INTEGRITY under the *receiver's* password, and FINGERPRINT. The controlling side nominates
by USE-CANDIDATE. Ours adds NOMINATION (0xC001, 32 bits, counting up from 1): the highest wins, which is how a link
moves to another pair later (draft-thatcher-ice-renomination); a peer that does not know the attribute skips it.
The controlled side of ours may answer by DOUBT (0xC002, 32 bits): the pair nominated by that number is of no use to it,
and the pair that the check comes over is. So the link moves although the controlling side sees nothing wrong.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Literal

from atmosphere.ice.credentials import IceCredentials
from atmosphere.stun.message import Message, binding_request, binding_response, error_response

__all__ = ["ROLE_CONFLICT", "Role", "build_answer", "build_check", "build_role_conflict", "is_authentic_check"]

ROLE_CONFLICT = 487


@dataclass(slots=True)
class Role:
    """Which side nominates, and the number that settles a dispute about it (RFC 8445 §7.3.1.1)."""

    controlling: bool
    tie_breaker: int

    def judge(self, request: Message) -> Literal["agreed", "switch", "refuse"]:
        """Whether `request` claims our own role; if so, whether we give way or its sender must (error 487)."""
        theirs = request.attributes.get("ICE-CONTROLLING" if self.controlling else "ICE-CONTROLLED")
        if theirs is None:
            return "agreed"
        # The larger tie-breaker controls: its side refuses where it is controlling already, else takes over.
        wins = self.tie_breaker >= theirs
        return "refuse" if wins == self.controlling else "switch"

    def switch(self) -> None:
        """Take the other role."""
        self.controlling = not self.controlling

    def renew(self) -> None:
        """Take a new tie-breaker, as an agent does that has been told 487 (RFC 8445 §7.2.5.1)."""
        self.tie_breaker = secrets.randbits(64)


def build_check(
    local: IceCredentials,
    remote: IceCredentials,
    *,
    role: Role,
    priority: int,
    nomination: int | None,
    doubt: int | None = None,
) -> Message:
    """A signed check; with a `nomination` counter it nominates the pair it is sent over, `doubt` objects to one."""
    attributes: dict[str, Any] = {
        "USERNAME": f"{remote.ufrag}:{local.ufrag}",
        "PRIORITY": priority,
        "ICE-CONTROLLING" if role.controlling else "ICE-CONTROLLED": role.tie_breaker,
    }
    if nomination is not None:
        attributes["USE-CANDIDATE"] = None
        attributes["NOMINATION"] = nomination
    if doubt is not None:
        attributes["DOUBT"] = doubt
    message = binding_request(attributes)
    message.add_message_integrity(remote.key)
    return message


def build_answer(request: Message, source: tuple[str, int], local: IceCredentials) -> Message:
    """The signed success response, which tells the sender the address it was seen at. It is smaller than the check."""
    message = binding_response(request, source)
    message.add_message_integrity(local.key)
    return message


def build_role_conflict(request: Message, local: IceCredentials) -> Message:
    """The signed 487 that makes the sender give its role up."""
    message = error_response(request, ROLE_CONFLICT, "Role Conflict")
    message.add_message_integrity(local.key)
    return message


def is_authentic_check(request: Message, local: IceCredentials, remote: IceCredentials | None) -> bool:
    """Whether a request is a whole check meant for us: USERNAME, PRIORITY, and integrity under our password.

    As long as the remote's credentials are unknown any fragment of its own will do.
    """
    ours, colon, theirs = request.attributes.get("USERNAME", "").partition(":")
    if ours != local.ufrag or not colon or (remote is not None and theirs != remote.ufrag):
        return False
    return "PRIORITY" in request.attributes and request.check_message_integrity(local.key)
