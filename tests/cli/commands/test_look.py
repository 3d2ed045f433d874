"""ping, explain, bench."""

from __future__ import annotations

import json

from atmosphere.cli import failures
from tests.cli.conftest import Invoke
from tests.cli.fake import FakeNode

FAST = ("--interval", "0.001s")


def test_ping(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("ping", "desk", "-c", "2", *FAST)
    assert result.exit_code == 0
    assert result.stdout == "pong from desk direct 203.0.113.9:7777 in 12 ms\n" * 2
    assert "2 sent, 2 received, min 12 ms" in result.stderr


def test_ping_json(invoke: Invoke, node: FakeNode) -> None:
    result = json.loads(invoke("--json", "ping", "phone", "-c", "3", *FAST).stdout)
    assert (result["peer"], result["sent"], result["received"]) == ("phone", 3, 2)
    assert result["rtt_ms"] == {"min": 12.0, "avg": 26.5, "max": 41.0}
    assert result["path"]["kind"] == "direct"


def test_until_direct(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("ping", "phone", "--until-direct", *FAST)
    assert result.exit_code == 0
    assert "relayed via 198.51.100.7" in result.stdout or "no pong" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("direct 203.0.113.9:7777 in 12 ms")


def test_silence(invoke: Invoke, node: FakeNode) -> None:
    node.members[0].pongs = [None]
    result = invoke("ping", "desk", "-c", "1")
    assert result.exit_code == 4
    assert "no pong from desk" in result.stdout
    assert "Error: desk did not answer\nTry: atmosphere explain desk\n" in result.stderr


def test_never_direct(invoke: Invoke, node: FakeNode) -> None:
    node.members[1].pongs = [41.0, 41.0, 41.0, 41.0]
    result = invoke("ping", "phone", "--until-direct", "-c", "2", *FAST)
    assert result.exit_code == 4
    assert "not directly" in result.stderr


def test_explain(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("explain", "desk")
    assert result.stdout.splitlines() == [
        "desk is connected: direct 203.0.113.9:7777 (12 ms)",
        "  checks to 203.0.113.9:7777 succeeded",
        "The path is direct; there is no better one.",
    ]
    assert "Open the node's port" in invoke("explain", "phone").stdout
    assert json.loads(invoke("--json", "explain", "desk").stdout)["peer"]["name"] == "desk"


def test_names_that_are_no_text(invoke: Invoke, node: FakeNode) -> None:
    for name in ("\udcff", "x" * 300, "x" * 3_000_000):
        result = invoke("ping", name)
        assert result.exit_code == failures.USAGE
        assert result.stderr.startswith("Error: ")
        assert "unexpected" not in result.stderr


def test_bench_without_a_link(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("bench", "desk", "--seconds", "0.1")
    assert result.exit_code == 4
    assert "desk is not connected" in result.stderr


def test_a_peer_that_names_nobody(invoke: Invoke, node: FakeNode) -> None:
    for text, said in (("", "it is empty"), ("  ", "it is empty"), ("x" * 257, "far too long")):
        for command in ("ping", "explain", "bench", "remove", "promote"):
            result = invoke(command, text)
            assert result.exit_code == failures.USAGE, result.output
            assert said in result.stderr
            assert "control request" not in result.stderr


def test_bench_for_no_number_of_seconds(invoke: Invoke, node: FakeNode) -> None:
    for text in ("nan", "0", "-1", "inf", "soon"):
        result = invoke("bench", "desk", "--seconds", text)
        assert result.exit_code == failures.USAGE, text
        assert "Invalid value for '--seconds'" in result.stderr
