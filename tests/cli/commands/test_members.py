"""peers, invites, remove, promote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Invoke
from tests.cli.fake import FakeNode


def test_peers(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("peers")
    assert result.exit_code == 0
    heading, desk, phone = result.stdout.splitlines()
    assert heading.split() == ["NAME", "ID", "STATE", "PATH", "RTT", "LOSS", "SENT", "RECEIVED", "CONNECTED"]
    assert desk.split()[:5] == ["desk", "bbbbbbbb", "connected", "direct", "203.0.113.9:7777"]
    assert "relayed via 198.51.100.7 over TCP" in phone
    assert "2.5 MB" in desk


def test_peers_json(invoke: Invoke, node: FakeNode) -> None:
    first, second = json.loads(invoke("--json", "peers").stdout)
    assert list(first) == [
        "id", "name", "state", "role", "path", "rtt_ms", "jitter_ms", "loss", "bytes_sent", "bytes_received",
        "connected_at", "version", "path_since", "last_change",
    ]  # fmt: skip
    assert first["path"] == {
        "kind": "direct",
        "protocol": "udp",
        "family": 4,
        "local": {"type": "host", "address": "192.0.2.1", "port": 7777},
        "remote": {"type": "srflx", "address": "203.0.113.9", "port": 7777},
    }
    assert second["name"] == "phone"


def test_json_after_the_command(invoke: Invoke, node: FakeNode) -> None:
    assert json.loads(invoke("peers", "--json").stdout)[0]["name"] == "desk"


def test_no_peers(invoke: Invoke, node: FakeNode) -> None:
    node.members = []
    result = invoke("peers")
    assert result.stdout.splitlines()[0].startswith("NAME")
    assert "atmosphere join" in result.stderr
    assert json.loads(invoke("--json", "peers").stdout) == []


def test_hostile_names_do_not_steer_the_terminal(invoke: Invoke, node: FakeNode) -> None:
    node.members[0].name = "\x1b[2Jdesk"
    assert "\x1b" not in invoke("peers").stdout


def test_watch_ends_with_the_node(invoke: Invoke, node: FakeNode) -> None:
    node.ending = True
    result = invoke("peers", "--watch")
    assert result.exit_code == 3
    desk, phone = result.stdout.splitlines()
    assert desk.endswith("  desk  connected  direct 203.0.113.9:7777 (12 ms)  direct works")
    assert "  phone  connected  relayed via 198.51.100.7 over TCP (12 ms)" in phone
    assert "the node has stopped" in result.stderr
    for line in invoke("--json", "peers", "--watch").stdout.splitlines():
        assert json.loads(line)[0]["name"] == "desk"


def test_watch_on_a_terminal(invoke: Invoke, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node.ending = True
    monkeypatch.setattr("atmosphere.cli.output.terminal", lambda stream: True)
    result = invoke("peers", "--watch")
    assert result.exit_code == 3
    assert "desk" in result.stdout
    assert "works" in result.stdout


def test_watch_is_ended_by_whoever_watches(invoke: Invoke, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def show(out: object, snapshots: Iterator[Any]) -> None:
        assert next(snapshots)[0].name == "desk"
        raise KeyboardInterrupt

    monkeypatch.setattr("atmosphere.cli.watching.show", show)
    result = invoke("peers", "--watch")
    assert (result.exit_code, result.stderr) == (0, "")


def test_invites(invoke: Invoke, node: FakeNode) -> None:
    assert "2 of 5" in invoke("invites").stdout
    assert [entry["id"] for entry in json.loads(invoke("--json", "invites").stdout)] == ["aa11", "ab22"]
    node.outstanding = []
    assert "no join code" in invoke("invites").stderr


def test_revoke(invoke: Invoke, node: FakeNode) -> None:
    assert invoke("invites", "revoke", "aa").stdout == "revoked aa11\n"
    assert ("revoke", "aa11") in node.asked
    for wrong in ("a", "zz"):
        result = invoke("invites", "revoke", wrong)
        assert result.exit_code == 1
        assert "Try: atmosphere invites" in result.stderr


def test_remove_and_promote(invoke: Invoke, node: FakeNode) -> None:
    assert invoke("remove", "desk").stdout == "removed desk (bbbbbbbb)\n"
    assert json.loads(invoke("--json", "promote", "cccc").stdout) == {"promoted": {"id": "c" * 52, "name": "phone"}}
    assert ("remove", "desk") in node.asked
    assert ("promote", "phone") in node.asked


def test_unknown_peer(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("remove", "nobody")
    assert result.exit_code == 1
    assert result.stderr == "Error: no member is called nobody; there are desk and phone\nTry: atmosphere peers\n"


def test_no_node(invoke: Invoke) -> None:
    for command in (["peers"], ["invites"], ["remove", "x"], ["promote", "x"], ["invites", "revoke", "x"]):
        result = invoke(*command)
        assert result.exit_code == 3
        assert result.stderr.startswith("Error: no node is running for ")
        assert "serve --detach" in result.stderr
        assert result.stdout == ""
