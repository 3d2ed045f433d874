"""`atmosphere network`, without a network to look at."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from atmosphere.cli.commands.network import lines
from atmosphere.network.info import (
    InterfaceInfo,
    NatInfo,
    NetworkInfo,
    PortMappingInfo,
    PublicAddress,
    PublicInfo,
    ServerInfo,
)
from tests.cli.conftest import Invoke

INFO = NetworkInfo(
    [InterfaceInfo("eth0", "192.0.2.1", 4)],
    PublicInfo(PublicAddress("203.0.113.9", 50000)),
    NatInfo("endpoint-independent", "address-and-port-dependent", True, "port-restricted-cone"),
    PortMappingInfo(True, False, None),
    [ServerInfo("stun:198.51.100.7", True, 12.0), ServerInfo("stun:198.51.100.8", False, None, "silence")],
    True,
    "Direct connections work with most networks.",
)


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any, dict[str, Any]]]:
    asked: list[tuple[Any, Any, dict[str, Any]]] = []

    async def gather(stun: Any, turn: Any, signaling: Any, **settings: Any) -> NetworkInfo:
        asked.append((stun, turn, {"signaling": signaling, **settings}))
        return INFO

    monkeypatch.setattr("atmosphere.network.gather.gather_network_info", gather)
    return asked


def test_for_people(invoke: Invoke, gathered: list[Any]) -> None:
    text = invoke("network").stdout
    assert text.splitlines() == lines(INFO)
    assert "interface:    eth0 192.0.2.1" in text
    assert "public IPv4:  203.0.113.9:50000" in text
    assert "public IPv6:  none seen" in text
    assert "UPnP yes, NAT-PMP no, PCP unknown" in text
    assert "stun:198.51.100.8 failed: silence" in text
    assert text.splitlines()[-1] == INFO.summary


def test_json_has_the_contract_s_keys(invoke: Invoke, gathered: list[Any]) -> None:
    document = json.loads(invoke("--json", "network").stdout)
    assert {"interfaces", "public", "nat", "port_mapping", "servers", "internet"} <= document.keys()
    assert document["public"] == {"ipv4": {"ip": "203.0.113.9", "port": 50000}, "ipv6": None}
    assert document["nat"]["type"] == "port-restricted-cone"


def test_options(invoke: Invoke, gathered: list[Any]) -> None:
    assert invoke("network", "--stun", "none", "--turn", "turn:a:b@example.org", "--no-port-mapping").exit_code == 0
    settings = {"signaling": (), "timeout": 3.0, "port_mapping": False, "lifetime": 0.0}
    assert gathered == [([], ("turn:a:b@example.org",), settings)]
    assert invoke("network", "--signaling", "wss://relay.example", "--lifetime", "2m").exit_code == 0
    assert (gathered[1][2]["signaling"], gathered[1][2]["lifetime"]) == (("wss://relay.example",), 120.0)
    assert invoke("network", "--turn", "nonsense").exit_code == 2
    assert invoke("network", "--signaling", "nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "unknown how long"), (0.0, "hardly at all"), (90.0, "a silent mapping for 1 min 30 s at the least")],
)
def test_how_long_the_router_remembers(seconds: float | None, words: str) -> None:
    text = "\n".join(lines(msgspec.structs.replace(INFO, nat=NatInfo(mapping_lifetime_s=seconds))))
    assert words in text


def test_a_captive_portal_and_ipv6_that_nobody_answers_are_said() -> None:
    found = msgspec.structs.replace(
        INFO, interfaces=[InterfaceInfo("eth0", "2001:db8::1", 6)], internet=False, captive_portal=True
    )
    text = "\n".join(lines(found))
    assert "internet:     no, behind a captive portal" in text
    assert "public IPv6:  none seen: no server answers over it" in text
    local = msgspec.structs.replace(found, interfaces=[InterfaceInfo("eth0", "fd00::1", 6)])
    assert "public IPv6:  none seen" in lines(local)
