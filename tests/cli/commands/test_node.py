"""status, stop, leave, config."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from atmosphere.cli.commands.node import _network, _relay
from atmosphere.mesh.info import RelayInfo
from tests.cli.conftest import Invoke
from tests.cli.fake import FakeLife, FakeNode


def test_status(invoke: Invoke, node: FakeNode) -> None:
    text = invoke("status").stdout
    assert "laptop (nnnnnnnn), version 0.1.0" in text
    assert "stun:198.51.100.7:3478 ok, 12 ms" in text
    assert "turn:example.org failed: silence" in text
    assert "relay:      for members at turn:203.0.113.9:7777, 2 allocations, 12.4 MB\n" in text
    assert "network:    symmetric NAT\n" in text
    assert "router:     is not asked for a port (--no-port-mapping)\n" in text
    assert "up for:     1 h 1 min" in text
    assert json.loads(invoke("--json", "status").stdout)["port"] == 7777


@pytest.mark.parametrize(
    ("relay", "text"),
    [
        (RelayInfo(True, ["turn:203.0.113.9:7777", "turn:[2001:db8::9]:7777"], 1, 0), "1 allocation, 0 B"),
        (RelayInfo(False, [], 0, 0, "--no-relay"), "none for members: --no-relay"),
    ],
)
def test_status_of_a_relay(relay: RelayInfo, text: str) -> None:
    assert text in _relay(msgspec.to_builtins(relay))


def test_status_of_a_network_that_is_not_known() -> None:
    assert _network(None) == []
    unknown = {"words": "not known what the router does", "port_mapping": "unknown", "policy": "any"}
    assert _network(unknown) == [("network", "not known what the router does")]


def test_status_of_a_path_policy() -> None:
    known = {"words": "no NAT", "port_mapping": "open"}
    lines = dict(_network(known | {"policy": "relay"}))
    assert lines["router"] == "opened a port for this node"
    assert lines["paths"] == "only relayed ones (--path-policy relay): peers do not learn this machine's address"
    assert dict(_network(known | {"policy": "direct"}))["paths"].endswith("no relay is ever used")


def test_status_of_a_member_that_was_removed(invoke: Invoke, node: FakeNode) -> None:
    assert "home (abababab), as admin\n" in invoke("status").stdout
    node.role = "none"
    assert "but this node is no member any more: join with a new code" in invoke("status").stdout


@pytest.mark.parametrize(("ready", "what", "code"), [(True, "ready", 0), (False, "ready", 1), (False, "live", 0)])
def test_check(invoke: Invoke, node: FakeNode, ready: bool, what: str, code: int) -> None:
    node.ready = ready
    result = invoke("status", "--check", what)
    assert (result.exit_code, result.output) == (code, "")


def test_check_without_a_node(invoke: Invoke) -> None:
    result = invoke("status", "--check", "live")
    assert (result.exit_code, result.output) == (3, "")


def test_stop(invoke: Invoke, node: FakeNode, life: FakeLife) -> None:
    assert invoke("stop").stdout == "stopped laptop\n"
    assert life.stopping.is_set()


def test_leave_asks(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("leave")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert ("leave",) not in node.asked


def test_leave(invoke: Invoke, node: FakeNode, life: FakeLife) -> None:
    assert json.loads(invoke("--json", "leave", "--yes").stdout) == {"left": {"id": "ab" * 20, "name": "home"}}
    assert ("leave",) in node.asked
    assert life.stopping.is_set()


def test_config_says_where_values_come_from(invoke: Invoke, home: Path) -> None:
    (home / "config.toml").write_text('port = 9001\npath-policy = "direct"\nturn = ["turn:ann:hush@example.org"]\n')
    result = invoke("--json", "config", "--host", "192.0.2.1", env={"ATMOSPHERE_PATH_POLICY": "relay"})
    settings = json.loads(result.stdout)["settings"]
    assert settings["port"] == {"value": 9001, "origin": "config.toml"}
    assert settings["path_policy"] == {"value": "relay", "origin": "environment"}
    assert settings["host"] == {"value": "192.0.2.1", "origin": "command line"}
    assert settings["name"] == {"value": None, "origin": "default"}
    assert settings["turn"]["value"] == ["turn:ann:***@example.org"]
    assert "hush" not in invoke("config").output


def test_config_of_the_running_node(invoke: Invoke, node: FakeNode) -> None:
    assert json.loads(invoke("--json", "config", "--port", "1").stdout)["settings"]["port"]["value"] == 7777


def test_config_that_is_not_toml(invoke: Invoke, home: Path) -> None:
    (home / "config.toml").write_text("port = = 3\n")
    result = invoke("status")
    assert result.exit_code == 1
    assert "config.toml is not TOML" in result.stderr


def test_config_with_a_wrong_value(invoke: Invoke, home: Path) -> None:
    (home / "config.toml").write_text('port = "high"\n')
    result = invoke("config")
    assert result.exit_code == 2
    assert "high" in result.stderr
