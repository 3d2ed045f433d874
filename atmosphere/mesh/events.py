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
    """Data to `peer` takes another path now; None while there is none. `previous` is the one before, `reason` why, in
    words: "direct works", "relay lost", "network changed", "no answer for 3 s"."""

    peer: Peer
    path: PathInfo | None
    previous: PathInfo | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """This machine's own addresses are others now: a cable, a Wi-Fi, a hotspot, a VPN came or went."""

    addresses: tuple[str, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PortMapped:
    """The router opened a port for this node: it is seen at `address` and `port` from outside."""

    address: str
    port: int


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


Event = (
    PeerConnected
    | PeerDisconnected
    | PathChanged
    | NetworkChanged
    | PortMapped
    | MemberAdded
    | MemberRemoved
    | MembershipRevoked
)
