"""What a node says of itself and its peers, shaped as the command line's JSON (docs/CLI.md)."""

from __future__ import annotations

from typing import Literal

import msgspec

PeerState = Literal["connected", "connecting", "offline"]


class PathEndInfo(msgspec.Struct, frozen=True):
    """One end of a path: the candidate's type and where it is."""

    type: str
    address: str
    port: int


class PathInfo(msgspec.Struct, frozen=True):
    """The way data takes now."""

    kind: Literal["direct", "relay"]
    protocol: str
    family: int
    local: PathEndInfo
    remote: PathEndInfo


class PeerInfo(msgspec.Struct, frozen=True):
    """A member as this node sees it; `path` and the figures are None when not connected."""

    id: str
    name: str
    state: PeerState
    role: str
    path: PathInfo | None = None
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    loss: float | None = None
    bytes_sent: int | None = None
    bytes_received: int | None = None
    connected_at: float | None = None
    version: str | None = None


class NodeInfo(msgspec.Struct, frozen=True):
    """An id and the name that goes with it: of a node or of a mesh."""

    id: str
    name: str


class ServerInfo(msgspec.Struct, frozen=True):
    """A STUN, TURN or signaling server in use and how it does."""

    uri: str
    ok: bool
    rtt_ms: float | None = None
    error: str | None = None


class RelayInfo(msgspec.Struct, frozen=True):
    """Whether this node relays for other members: `uris` are where (none: it does not), `allocations` of members there
    are now, `bytes` were relayed since it started; `reason` is why it does not."""

    offered: bool
    uris: list[str]
    allocations: int
    bytes: int
    reason: str | None = None


class NodeStatus(msgspec.Struct, frozen=True):
    """This node, its mesh, where it listens, and the servers it uses."""

    node: NodeInfo
    mesh: NodeInfo | None
    role: str | None
    version: str
    port: int
    addresses: list[str]
    candidates: list[str]
    servers: list[ServerInfo]
    peers: dict[str, int]
    uptime: float
    ready: bool
    relay: RelayInfo
    advice: str | None = None


class InviteInfo(msgspec.Struct, frozen=True):
    """An outstanding join code, without its secret."""

    id: str
    uses: int
    used: int
    expires_at: float
    created_at: float
