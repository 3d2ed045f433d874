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


class ChangeInfo(msgspec.Struct, frozen=True):
    """When a peer's path last changed (unix seconds), and why, in words: "direct works"."""

    at: float
    reason: str


class PeerInfo(msgspec.Struct, frozen=True):
    """A member as this node sees it; `path` and the figures are None when not connected.

    `path_since` is when the present path was taken, `last_change` what was the last to happen to it.
    """

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
    path_since: float | None = None
    last_change: ChangeInfo | None = None


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


class SideInfo(msgspec.Struct, frozen=True):
    """One end of a link: its NAT in RFC 4787's terms, the everyday name and plain words, its path policy, whether UDP
    gets out, whether its router opened a port."""

    mapping: str
    filtering: str
    type: str
    words: str
    policy: str
    udp: bool | None
    port_mapping: str


class NodeStatus(msgspec.Struct, frozen=True):
    """This node, its mesh, where it listens, the servers it uses, and what its network is like (`network`)."""

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
    network: SideInfo | None = None


class InviteInfo(msgspec.Struct, frozen=True):
    """An outstanding join code, without its secret."""

    id: str
    uses: int
    used: int
    expires_at: float
    created_at: float


class PairInfo(msgspec.Struct, frozen=True):
    """Candidate pairs that ended alike: how many, the best of them, whether over a relay, over which protocol, and how
    they ended."""

    outcome: str
    count: int
    relayed: bool
    local: PathEndInfo
    remote: PathEndInfo
    rtt_ms: float | None = None
    protocol: str = "udp"


class AttemptInfo(msgspec.Struct, frozen=True):
    """The last attempt to reach a peer, or the one under way (`error` None): how far it came, whether the peer said
    anything by signaling, and how long it took (seconds)."""

    layer: str
    answered: bool
    seconds: float
    error: str | None = None


class Explanation(msgspec.Struct, frozen=True):
    """Why a peer is reached as it is: the one `cause` (a name for programs), `why` in words, and what to change
    (`advice`, None where nothing needs to be). `guessing` is what became of guessing ports."""

    cause: str
    why: str
    advice: str | None
    here: SideInfo
    there: SideInfo
    pairs: list[PairInfo]
    relays: list[str]
    attempt: AttemptInfo | None = None
    next_try_in: float | None = None
    guessing: str | None = None
