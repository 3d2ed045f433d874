from __future__ import annotations

import msgspec

from atmosphere.network.info import (
    InterfaceInfo,
    NatInfo,
    NetworkInfo,
    PortMappingInfo,
    PublicAddress,
    PublicInfo,
    ServerInfo,
)


def test_the_json_is_the_contracts() -> None:
    info = NetworkInfo(
        interfaces=[InterfaceInfo("eth0", "192.0.2.2", 4)],
        public=PublicInfo(PublicAddress("203.0.113.9", 40000)),
        nat=NatInfo("endpoint-independent", "address-and-port-dependent", False, "port-restricted-cone"),
        port_mapping=PortMappingInfo(True, False, None),
        servers=[ServerInfo("stun:stun.example", True, 12.3), ServerInfo("stun:other", False, error="no answer")],
        internet=True,
        summary="Fine.",
    )
    assert msgspec.to_builtins(info) == {
        "interfaces": [{"name": "eth0", "address": "192.0.2.2", "family": 4}],
        "public": {"ipv4": {"ip": "203.0.113.9", "port": 40000}, "ipv6": None},
        "nat": {
            "mapping": "endpoint-independent",
            "filtering": "address-and-port-dependent",
            "hairpinning": False,
            "type": "port-restricted-cone",
            "mapping_lifetime_s": None,
        },
        "port_mapping": {"upnp": True, "nat_pmp": False, "pcp": None},
        "servers": [
            {"uri": "stun:stun.example", "ok": True, "rtt_ms": 12.3, "error": None},
            {"uri": "stun:other", "ok": False, "rtt_ms": None, "error": "no answer"},
        ],
        "internet": True,
        "summary": "Fine.",
        "captive_portal": None,
    }
