"""Joining with a node that is started for it: what is said on the way, and what is left when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atmosphere.cli import joining
from atmosphere.cli.control import messages
from atmosphere.cli.daemon import background
from atmosphere.cli.daemon.handlers import Handlers
from atmosphere.cli.daemon.options import NodeOptions, Ready
from atmosphere.cli.state import State
from atmosphere.errors import Unreachable
from tests.cli.fake import FakeLife, FakeNode, running

JOIN = messages.Join("atm1-code", timeout=5.0)


@pytest.fixture
def started(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeNode, FakeLife]]:
    """A fake node that begins to run when a background node is started; it listens on port 50000."""
    node, life = FakeNode(), FakeLife()
    with contextlib.ExitStack() as stack:

        def start(where: Path, options: NodeOptions) -> Ready:
            stack.enter_context(running(where, node, life))
            return Ready(node.id, node.name, None, None, 50000, [], 1)

        monkeypatch.setattr(background, "start", start)
        yield node, life


def test_a_node_is_started(home: Path, started: tuple[FakeNode, FakeLife], capsys: pytest.CaptureFixture[str]) -> None:
    joining.in_background(State(home=home), JOIN, NodeOptions(port=7777))
    said = capsys.readouterr()
    assert said.out == "joined home; connected to desk (bbbbbbbb)\n"
    assert said.err.startswith("port 7777 is in use; this node listens on 50000\nsignalling\n")
    assert not started[1].stopping.is_set()


def test_it_is_stopped_when_joining_fails(home: Path, started: tuple[FakeNode, FakeLife]) -> None:
    node, life = started
    node.fails = Unreachable("nobody")
    with pytest.raises(Unreachable):
        joining.in_background(State(home=home), JOIN, NodeOptions(port=50000))
    assert life.stopping.is_set()


def test_options_for_a_node_that_runs_already(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(home, FakeNode(), FakeLife()):
        joining.in_background(State(home=home), JOIN, NodeOptions(origins={"port": "command line"}))
    assert "runs already" in capsys.readouterr().err


def test_the_line_grows_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    drawn = Terminal()
    monkeypatch.setattr("sys.stderr", drawn)
    line = joining.RouteLine(State())
    for step in ("signalling", "relayed via 198.51.100.7 (41 ms)", "direct 203.0.113.9:7777 (12 ms)"):
        line.step(step)
    line.end()
    assert drawn.getvalue() == "signalling → relayed via 198.51.100.7 (41 ms) → direct 203.0.113.9:7777 (12 ms)\n"


def test_the_reply_is_always_shown(capsys: pytest.CaptureFixture[str]) -> None:
    joining.RouteLine(State(json=True)).step({"reply": "atr1-x"})
    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()[-1]) == ("", "atr1-x")


def test_in_the_foreground(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def serve(where: Path, options: NodeOptions, announce: Any, first: Any) -> None:
        announce(Ready("n" * 52, "laptop", None, None, 1, ["192.0.2.1:1"], 1))
        asyncio.run(first(Handlers(FakeNode(), options, FakeLife())))

    monkeypatch.setattr("atmosphere.cli.daemon.run.serve", serve)
    joining.in_foreground(State(home=home), JOIN, NodeOptions())
    ready, joined = capsys.readouterr().out.splitlines()
    assert ready == "READY laptop (nnnnnnnn) in no mesh yet, listening on 192.0.2.1:1"
    assert joined == "joined home; connected to desk (bbbbbbbb)"


def test_in_the_foreground_by_hand(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(where: Path, options: NodeOptions, announce: Any, first: Any) -> None:
        asyncio.run(first(Handlers(FakeNode(), options, FakeLife())))

    monkeypatch.setattr("atmosphere.cli.daemon.run.serve", serve)
    joining.in_foreground(State(home=home), messages.Join("x", manual=True), NodeOptions())
    assert capsys.readouterr().out.splitlines()[0] == "atr1-reply"
