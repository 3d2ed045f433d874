"""Looking at a peer with the real program: throughput, and why the path is what it is."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

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
    text = laptop.run("explain", "desk").stdout
    assert "desk is connected: direct 127.0.0.1:" in text
    assert text.endswith("The path is direct; there is no better one.\n")
    told = laptop.json("explain", "desk")
    assert (told["cause"], told["advice"], told["peer"]["name"]) == ("direct", None, "desk")
    assert told["pairs"][0]["outcome"] == "in use"


def test_until_direct(lasting_pair: tuple[Machine, Machine]) -> None:
    _, laptop = lasting_pair
    [pong] = laptop.run("ping", "desk", "--until-direct").stdout.splitlines()
    assert pong.startswith("pong from desk direct 127.0.0.1:")


def next_line(watching: subprocess.Popen[str]) -> Any:
    """The next document, which is the list of the only peer."""
    assert watching.stdout is not None
    [peer] = json.loads(watching.stdout.readline())
    return peer


def test_watch(pair: tuple[Machine, Machine]) -> None:
    desk, laptop = pair
    watching, plain = laptop.spawn("--json", "peers", "--watch"), laptop.spawn("peers", "--watch")
    assert plain.stdout is not None
    first = next_line(watching)
    assert (first["state"], first["path"]["kind"]) == ("connected", "direct")
    assert first["last_change"]["reason"] in (
        "connected",
        "direct works",
        "a better path works",
        "a new link took over",
    )
    assert first["path_since"] == first["last_change"]["at"]
    assert "  desk  connected  direct 127.0.0.1:" in plain.stdout.readline()
    desk.run("stop")
    while (gone := next_line(watching))["state"] == "connected":
        continue
    assert gone["path"] is None
    assert gone["last_change"]["reason"] == "the other side: stopped"
    desk.run("serve", "--detach")
    while (back := next_line(watching))["state"] != "connected":
        continue
    assert back["path_since"] > first["path_since"]
    for process in (watching, plain):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_peer_that_is_away(lasting_pair: tuple[Machine, Machine]) -> None:
    desk, laptop = lasting_pair
    desk.run("stop")
    assert "did not answer" in laptop.run("ping", "desk", "-c", "1", "--timeout", "0.5s", code=4).stderr
    assert "Nothing answers" in laptop.run("explain", "desk").stdout
    assert laptop.json("peers")[0]["state"] in ("connecting", "offline")
