"""Connect your machines across any networks with one join code.

`Node` is this machine in its mesh, `Peer` another one; `Stream` and `Channel` carry data between them. See docs/ and
README.md. Everything is imported on first use, so that `import atmosphere` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atmosphere.channels.channel import Channel
    from atmosphere.channels.stream import Stream
    from atmosphere.errors import (
        AtmosphereError,
        ChannelClosed,
        CodeError,
        DecodeError,
        LinkError,
        NotRunning,
        Refused,
        StateError,
        StreamReset,
        UnknownPeer,
        Unreachable,
    )
    from atmosphere.joincode import JoinCode
    from atmosphere.mesh.events import (
        MemberAdded,
        MemberRemoved,
        MembershipRevoked,
        NetworkChanged,
        PathChanged,
        PeerConnected,
        PeerDisconnected,
        PortMapped,
    )
    from atmosphere.mesh.info import Explanation, InviteInfo, NodeStatus, PathInfo, PeerInfo
    from atmosphere.mesh.listeners import RelayQuota
    from atmosphere.mesh.node import Node
    from atmosphere.mesh.peer import Peer
    from atmosphere.mesh.store import init_home

_HOMES = {
    "atmosphere.channels.channel": ("Channel",),
    "atmosphere.channels.stream": ("Stream",),
    "atmosphere.errors": (
        "AtmosphereError",
        "ChannelClosed",
        "CodeError",
        "DecodeError",
        "LinkError",
        "NotRunning",
        "Refused",
        "StateError",
        "StreamReset",
        "UnknownPeer",
        "Unreachable",
    ),
    "atmosphere.joincode": ("JoinCode",),
    "atmosphere.mesh.events": (
        "MemberAdded",
        "MemberRemoved",
        "MembershipRevoked",
        "NetworkChanged",
        "PathChanged",
        "PeerConnected",
        "PeerDisconnected",
        "PortMapped",
    ),
    "atmosphere.mesh.info": ("Explanation", "InviteInfo", "NodeStatus", "PathInfo", "PeerInfo"),
    "atmosphere.mesh.listeners": ("RelayQuota",),
    "atmosphere.mesh.node": ("Node",),
    "atmosphere.mesh.peer": ("Peer",),
    "atmosphere.mesh.store": ("init_home",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AtmosphereError",
    "Channel",
    "ChannelClosed",
    "CodeError",
    "DecodeError",
    "Explanation",
    "InviteInfo",
    "JoinCode",
    "LinkError",
    "MemberAdded",
    "MemberRemoved",
    "MembershipRevoked",
    "NetworkChanged",
    "Node",
    "NodeStatus",
    "NotRunning",
    "PathChanged",
    "PathInfo",
    "Peer",
    "PeerConnected",
    "PeerDisconnected",
    "PeerInfo",
    "PortMapped",
    "Refused",
    "RelayQuota",
    "StateError",
    "Stream",
    "StreamReset",
    "UnknownPeer",
    "Unreachable",
    "init_home",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
