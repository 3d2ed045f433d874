"""What a session and the mux that it belongs to owe each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import Transmit

if TYPE_CHECKING:
    from atmosphere.ice.session import IceSession

__all__ = ["Claim", "Kin", "Router", "SessionKey"]

Address = tuple[str, int]
SessionKey = tuple[str, str]
"""The local and the remote username fragment."""


@dataclass(slots=True)
class Claim:
    """When the remote first showed itself at an address, and when it last answered there (monotonic seconds)."""

    seen_at: float
    answered_at: float = float("-inf")


class Kin(Protocol):
    """What the sessions of one link have in common: datagrams of the remote reach it by any of them."""

    @property
    def sessions(self) -> list[IceSession]:
        """Those that are not over."""


class Tcp(Protocol):
    """Who makes TCP connections."""

    def add_remote(self, session: IceSession, remote: Candidate) -> None:
        """The remote of a session can be connected to."""


class Router(Protocol):
    """What a session needs of the endpoint it belongs to."""

    @property
    def tcp(self) -> Tcp:
        """Who makes TCP connections."""

    def transmit(self, session: IceSession, transmit: Transmit) -> None:
        """Send a datagram of the session's agent, and remember whose its answer is."""

    def base(self, number: int) -> Base | None:
        """The base with that number, while it exists."""

    def claim(self, session: IceSession, base: int, source: Address, *, proven: bool) -> None:
        """The remote showed itself to `session` at `source`: by a check, or (`proven`) by answering one of ours."""

    def forget(self, session: IceSession, base: int, source: Address) -> None:
        """What comes from `source` is not the session's any more, until the remote shows itself there anew."""

    def connected(self, session: IceSession) -> None:
        """The session has a path."""

    def release(self, session: IceSession) -> None:
        """The session is over: forget all about it."""
