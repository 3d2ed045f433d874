"""What a node tells its application, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atmosphere.mesh.info import PathInfo
    from atmosphere.mesh.peer import Peer


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A link to `peer` is up and both sides have proved their membership."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The link to `peer` ended; the node goes on trying to reach it unless it was removed."""

    peer: Peer
    reason: str


@dataclass(frozen=True, slots=True)
class PathChanged:
    """Data to `peer` takes another path now; None while there is none."""

    peer: Peer
    path: PathInfo | None


@dataclass(frozen=True, slots=True)
class MemberAdded:
    """Somebody new is a member of the mesh."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class MemberRemoved:
    """A member was removed, or left."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class MembershipRevoked:
    """This very node is no longer a member; it keeps running but reaches nobody."""

    reason: str


Event = PeerConnected | PeerDisconnected | PathChanged | MemberAdded | MemberRemoved | MembershipRevoked
