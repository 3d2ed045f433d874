"""`peers --watch`: what makes a new line, and what the live table shows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest

from atmosphere.cli import output, watching
from atmosphere.mesh.info import ChangeInfo, PeerInfo
from tests.cli.fake import DIRECT, RELAYED

NOW = 1_000_000.0
RELAY_PEER = PeerInfo(
    *("b" * 52, "bob", "connected", "member", RELAYED, 41.0, 1.0, 0.015, 10, 20, NOW - 60, "0.1"),
    path_since=NOW - 60,
    last_change=ChangeInfo(NOW - 60, "connected"),
)
DIRECT_PEER = msgspec.structs.replace(
    RELAY_PEER, path=DIRECT, rtt_ms=12.0, path_since=NOW, last_change=ChangeInfo(NOW, "direct works")
)
AWAY = PeerInfo("c" * 52, "carol", "offline", "member")


@pytest.fixture(autouse=True)
def in_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.cli.watching.time.localtime", time.gmtime)
    monkeypatch.setattr("atmosphere.cli.watching.time.time", lambda: NOW)


def lines(changes: watching.Changes, *peers: PeerInfo) -> list[str]:
    return list(changes.lines(peers))


def test_a_line_for_each_change() -> None:
    changes = watching.Changes()
    relayed = "13:45:40  bob  connected  relayed via 198.51.100.7 over TCP (41 ms)  connected"
    assert lines(changes, RELAY_PEER, AWAY) == [relayed, "13:46:40  carol  offline"]
    moved_bytes = msgspec.structs.replace(RELAY_PEER, bytes_sent=99, rtt_ms=50.0, loss=0.5)
    assert lines(changes, moved_bytes, AWAY) == []
    assert lines(changes, DIRECT_PEER, AWAY) == [
        "13:46:40  bob  connected  direct 203.0.113.9:7777 (12 ms)  direct works"
    ]
    assert lines(changes, DIRECT_PEER) == ["13:46:40  carol  removed"]
    assert lines(changes, DIRECT_PEER) == []


def test_the_live_table() -> None:
    bob, carol = watching.rows([RELAY_PEER, AWAY], NOW)
    assert len(bob) == len(carol) == len(watching.COLUMNS)
    assert bob == [
        "bob", "connected", "relayed via 198.51.100.7 over TCP", "TCP, IPv4", "41 ms", "1 min", "connected, 1 min ago",
    ]  # fmt: skip
    assert carol == ["carol", "offline", "-", "-", "-", "-", "-"]


@dataclass
class FakeOutput:
    fancy: bool = False
    documents: list[Any] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def document(self, value: Any) -> None:
        self.documents.append(value)

    def data(self, text: str) -> None:
        self.told.append(text)


def test_plain_lines_and_documents() -> None:
    out = FakeOutput()
    hostile = msgspec.structs.replace(AWAY, name="\x1b[2Jcarol")
    watching.show(cast("output.Output", out), iter([[hostile], [hostile], [DIRECT_PEER, hostile]]))
    assert out.documents == [[hostile], [hostile], [DIRECT_PEER, hostile]]
    assert len(out.told) == 2
    assert "\x1b" not in out.told[0]


def test_what_makes_it_worth_a_line() -> None:
    assert watching.essence(RELAY_PEER) != watching.essence(DIRECT_PEER)
    assert watching.essence(RELAY_PEER) == watching.essence(msgspec.structs.replace(RELAY_PEER, bytes_sent=0))
