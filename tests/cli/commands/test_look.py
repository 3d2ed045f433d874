"""ping, explain, bench."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from atmosphere.cli import explanation, failures
from atmosphere.mesh.info import AttemptInfo, ChangeInfo, PairInfo, PathEndInfo, PeerInfo
from tests.cli.conftest import Invoke
from tests.cli.fake import EXPLANATION, RELAYED, FakeNode

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
    node.members[1].pongs = [None, 41.0, 12.0]
    result = invoke("ping", "phone", "--until-direct", *FAST)
    assert result.exit_code == 0
    lost, relayed, moved, direct = result.stdout.splitlines()
    assert lost == "no pong from phone (1)"
    assert relayed == "pong from phone relayed via 198.51.100.7 over TCP in 41 ms"
    # Of the ping that was under way when the path changed nobody can say which one it took.
    assert moved == direct == "pong from phone direct 203.0.113.9:7777 in 12 ms"


def test_silence(invoke: Invoke, node: FakeNode) -> None:
    node.members[0].pongs = [None]
    result = invoke("ping", "desk", "-c", "1")
    assert result.exit_code == 4
    assert "no pong from desk" in result.stdout
    assert "Error: desk did not answer\nTry: atmosphere explain desk\n" in result.stderr


@pytest.mark.parametrize("limit", [("-c", "2"), ("--timeout", "0.05s"), ("--timeout", "9s", "-c", "2")])
def test_never_direct(invoke: Invoke, node: FakeNode, limit: tuple[str, ...]) -> None:
    node.members[1].pongs = [41.0] * 100_000
    result = invoke("ping", "phone", "--until-direct", *limit, *FAST)
    assert result.exit_code == 4
    assert result.stderr.splitlines()[-2:] == [
        "Error: phone answers, but not directly: Your router changes ports for each peer.",
        "Try: Forward UDP port 7777 on the router of phone.",
    ]


def test_never_direct_and_nothing_to_do_about_it(invoke: Invoke, node: FakeNode) -> None:
    node.members[1].pongs = [None] * 9
    node.explanation = msgspec.structs.replace(EXPLANATION, why="It is off.", advice=None)
    result = invoke("ping", "phone", "--until-direct", "-c", "2", *FAST)
    assert result.exit_code == 4
    assert result.stderr.endswith("Error: phone did not answer: It is off.\nTry: atmosphere explain phone\n")


def test_explain(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("explain", "desk")
    headline, *findings = result.stdout.splitlines()
    assert headline.startswith("desk is connected: direct 203.0.113.9:7777 (12 ms), for ")
    assert headline.endswith(" (direct works)")
    assert findings == [
        "  this side: symmetric NAT",
        "  desk: port-restricted NAT",
        "  no answer: 192.0.2.1:7777 (own) → 203.0.113.9:7777 (public), and 2 more like it",
        "  relay turn:198.51.100.7:3478: ok",
        "Your router changes ports for each peer.",
        "Try: Forward UDP port 7777 on the router of phone.",
    ]
    document = json.loads(invoke("--json", "explain", "desk").stdout)
    assert list(document) == [
        "peer", "cause", "why", "advice", "here", "there", "pairs", "relays", "attempt", "next_try_in", "guessing",
    ]  # fmt: skip
    assert (document["peer"]["name"], document["cause"]) == ("desk", "symmetric-here")
    assert document["here"]["mapping"] == "address-and-port-dependent"


def explained(peer: PeerInfo, **changes: Any) -> list[str]:
    """The lines for `peer`."""
    found = msgspec.structs.replace(EXPLANATION, pairs=[], relays=[], **changes)
    return explanation.lines(msgspec.to_builtins({"peer": peer, **msgspec.structs.asdict(found)}), 1000.0)


def test_explain_somebody_who_is_away() -> None:
    peer = PeerInfo("d" * 52, "desk\x1b", "offline", "member")
    told = explained(peer, attempt=AttemptInfo("dtls", True, 25.0, "no answer in time"), next_try_in=12.0, advice=None)
    assert told[0] == "desk� is offline"
    assert told[3:] == [
        "  last attempt: a path was found, but the encrypted handshake did not finish, after 25 s: no answer in time",
        "  next attempt: in 12 s, or when there is news",
        "Your router changes ports for each peer.",
    ]
    told = explained(peer, attempt=AttemptInfo("signaling", False, 4.0))
    assert told[3] == "  trying for 4 s: so far no message was answered"
    connecting = msgspec.structs.replace(peer, state="connecting")
    told = explained(connecting, attempt=AttemptInfo("ice", True, 25.0, "no answer in time"))
    assert told[4] == "  next attempt: under way"
    told = explained(peer, attempt=AttemptInfo("a new layer", False, 4.0))
    assert told[3] == "  trying for 4 s: so far a new layer"


def test_explain_says_what_became_of_guessing_ports() -> None:
    peer = PeerInfo("d" * 52, "desk", "connected", "member", RELAYED)
    assert explained(peer, guessing="found after 2.2 s and 219 checks")[3] == (
        "  port guessing: found after 2.2 s and 219 checks"
    )


def test_explain_says_since_when() -> None:
    peer = PeerInfo(
        "d" * 52, "desk", "connected", "member", RELAYED, path_since=940.0, last_change=ChangeInfo(940.0, "relay lost")
    )
    pair = PairInfo("in use", 1, True, RELAYED.local, PathEndInfo("prflx", "2001:db8::1", 9), 41.0)
    told = explained(peer)
    assert told[0] == "desk is connected: relayed via 198.51.100.7 over TCP, for 1 min (relay lost)"
    found = msgspec.structs.replace(EXPLANATION, pairs=[pair])
    told = explanation.lines(msgspec.to_builtins({"peer": peer, **msgspec.structs.asdict(found)}))
    assert told[3] == ("  in use: 198.51.100.7:50000 (relay) → [2001:db8::1]:9 (public, found by its checks), 41 ms")


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
