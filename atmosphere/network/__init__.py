"""The everyday public API over the floors; README.md beside this file shows it in use.

discover_public_ip     our public address, as STUN servers see it
gather_network_info    everything that `atmosphere network` prints
StunService            a STUN server of one's own
RelayServer            the public helper: signaling, STUN and TURN on one port
RelayClient            two programs talk through a relay's WebSocket
"""

from __future__ import annotations

from atmosphere.network.attempt import PunchAttempt
from atmosphere.network.discover import PublicEndpoint, discover_public_ip
from atmosphere.network.gather import gather_network_info
from atmosphere.network.info import (
    InterfaceInfo,
    NatInfo,
    NetworkInfo,
    PortMappingInfo,
    PublicAddress,
    PublicInfo,
    ServerInfo,
)
from atmosphere.network.relay_client import RelayClient
from atmosphere.network.relay_server import RelayServer
from atmosphere.network.relay_settings import RelaySettings
from atmosphere.network.stun_service import StunService
from atmosphere.network.traversal import NATTraversal
from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS

__all__ = [
    "DEFAULT_STUN_SERVERS",
    "InterfaceInfo",
    "NATTraversal",
    "NatInfo",
    "NetworkInfo",
    "PortMappingInfo",
    "PublicAddress",
    "PublicEndpoint",
    "PublicInfo",
    "PunchAttempt",
    "RelayClient",
    "RelayServer",
    "RelaySettings",
    "ServerInfo",
    "StunService",
    "discover_public_ip",
    "gather_network_info",
]
