"""The public names, pinned: adding or removing one is a decision, and needs a line in CHANGELOG.md."""

from __future__ import annotations

import subprocess
import sys

import pytest

import atmosphere
import atmosphere.network
import signaling

NODE = {
    "Channel",
    "Explanation",
    "InviteInfo",
    "JoinCode",
    "Node",
    "NodeStatus",
    "PathInfo",
    "Peer",
    "PeerInfo",
    "RelayQuota",
    "Stream",
    "init_home",
}
EVENTS = {
    "MemberAdded",
    "MemberRemoved",
    "MembershipRevoked",
    "NetworkChanged",
    "PathChanged",
    "PeerConnected",
    "PeerDisconnected",
    "PortMapped",
}
ERRORS = {
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
}


NETWORK = {
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
}
SIGNALING = {
    "ClusterError",
    "ClusterSettings",
    "MAX_PAYLOAD_BYTES",
    "AuthError",
    "DecodeError",
    "Health",
    "InvalidURL",
    "KeySigner",
    "Message",
    "NotConnected",
    "Rejected",
    "Settings",
    "SignalingClient",
    "SignalingError",
    "SignalingPool",
    "SignalingServer",
    "Signer",
    "State",
    "TurnCredentialSource",
    "TurnServer",
    "id_of",
    "new_message_id",
    "normalize",
}


def test_the_names_of_each_package() -> None:
    assert set(atmosphere.__all__) == NODE | EVENTS | ERRORS
    assert set(atmosphere.network.__all__) == NETWORK
    assert set(signaling.__all__) == SIGNALING


@pytest.mark.parametrize("name", sorted(NODE | EVENTS | ERRORS))
def test_every_name_is_there_and_documented(name: str) -> None:
    assert getattr(atmosphere, name).__doc__


def test_no_other_name_is_made_up() -> None:
    with pytest.raises(AttributeError, match="no attribute 'NoSuchThing'"):
        _ = atmosphere.NoSuchThing


def test_dir_shows_the_public_names() -> None:
    assert set(dir(atmosphere)) >= NODE


def test_importing_atmosphere_costs_nothing() -> None:
    script = (
        "import sys, atmosphere; print(*sorted({'aioice', 'aiortc', 'cryptography', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
