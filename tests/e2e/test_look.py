"""Looking at a peer with the real program: throughput, and why the path is what it is."""

from __future__ import annotations

import pytest

from tests.e2e.machine import Machine

pytestmark = pytest.mark.xdist_group("e2e look")


def test_bench(lasting_pair: tuple[Machine, Machine]) -> None:
    _, laptop = lasting_pair
    for more in ((), ("--reverse", "--streams", "2")):
        measured = laptop.json("bench", "desk", "--seconds", "0.3", *more)
        assert list(measured) == ["peer", "seconds", "bytes", "mb_per_s", "path"]
        assert measured["bytes"] > 0
        assert measured["path"]["kind"] == "direct"


def test_explain(lasting_pair: tuple[Machine, Machine]) -> None:
    _, laptop = lasting_pair
    assert "desk is connected: direct 127.0.0.1:" in laptop.run("explain", "desk").stdout


def test_a_peer_that_is_away(lasting_pair: tuple[Machine, Machine]) -> None:
    desk, laptop = lasting_pair
    desk.run("stop")
    assert "did not answer" in laptop.run("ping", "desk", "-c", "1", "--timeout", "0.5s", code=4).stderr
    assert "Nothing answers" in laptop.run("explain", "desk").stdout
    assert laptop.json("peers")[0]["state"] in ("connecting", "offline")
