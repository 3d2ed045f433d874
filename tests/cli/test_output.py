"""Plain lines where nobody looks live, colours and redrawing where somebody does."""

from __future__ import annotations

import io
import json

import msgspec
import pytest

from atmosphere.cli import base, live, output, render
from atmosphere.mesh.info import PathEndInfo, PathInfo, PeerInfo
from tests.cli.fake import DIRECT, RELAYED


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminals(monkeypatch: pytest.MonkeyPatch) -> tuple[Terminal, Terminal]:
    """stdout and stderr as terminals, for the rest of the test."""
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    out, err = Terminal(), Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    return out, err


@pytest.mark.parametrize("variable", ["NO_COLOR", "CI"])
def test_terminal(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    terminals(monkeypatch)
    assert base.terminal(Terminal())
    assert not base.terminal(io.StringIO())
    monkeypatch.setenv(variable, "1")
    assert not base.terminal(Terminal())


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    out = output.Output(json=True)
    out.data("for people")
    out.table(("A",), [["b"]])
    out.document({"path": DIRECT})
    printed = capsys.readouterr().out
    assert json.loads(printed)["path"]["kind"] == "direct"
    assert len(printed.splitlines()) == 1


def test_plain_table() -> None:
    assert output.plain_table(("Name", "Id"), [["a long name", "1"], ["\x1bb", "22"]]) == [
        "NAME         ID",
        "a long name  1",
        "�b           22",
    ]


def test_rich_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminals(monkeypatch)
    out = output.Output(json=False)
    assert out.fancy
    out.table(("Name", "State"), [["desk", "connected"]])
    drawn = terminal[0].getvalue()
    assert "desk" in drawn
    assert "\x1b[32mconnected" in drawn


def test_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminals(monkeypatch)
    with live.Meter(output.Output(json=False), "to desk") as meter:
        meter.update(12_400_000, 1.0)
        assert "to desk: 12.4 MB, 12.4 MB/s" in terminal[1].getvalue()
    assert terminal[1].getvalue().endswith("\r\x1b[K")
    assert terminal[0].getvalue() == ""


def test_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminals(monkeypatch)
    with live.Bar(output.Output(json=False)) as bar:
        bar.update("film.mkv", 500_000, 1_000_000)
    assert "film.mkv" in terminal[1].getvalue()
    assert terminal[0].getvalue() == ""


def test_progress_is_rare_where_it_cannot_be_redrawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("atmosphere.cli.live.time.monotonic", lambda: now)
    with live.Meter(output.Output(json=False), "x") as meter, live.Bar(output.Output(json=False)) as bar:
        for _ in range(11):
            bar.update("film", 1_000_000, 2_000_000)
            meter.update(1, 1.0)
            now += 1
    assert capsys.readouterr().err == "film: 1.0 MB of 2.0 MB\n" * 1


def test_routes() -> None:
    assert render.route(None) == "no path"
    assert render.route(DIRECT, 12.4) == "direct 203.0.113.9:7777 (12 ms)"
    assert render.route(RELAYED, 41) == "relayed via 198.51.100.7 over TCP (41 ms)"
    assert render.route(msgspec.structs.replace(DIRECT, protocol="tcp")) == "direct 203.0.113.9:7777 over TCP"
    theirs = PathInfo("relay", "udp", 6, PathEndInfo("host", "2001:db8::1", 1), PathEndInfo("relay", "2001:db8::2", 2))
    assert render.route(theirs) == "relayed via 2001:db8::2"
    direct = PathInfo("direct", "udp", 6, PathEndInfo("host", "2001:db8::1", 1), PathEndInfo("host", "2001:db8::2", 2))
    assert render.route(direct) == "direct [2001:db8::2]:2"


def test_rows_of_who_is_away() -> None:
    [row] = render.peer_rows([PeerInfo("a" * 52, "desk", "offline", "founder")])
    assert row == ["desk (founder)", "aaaaaaaa", "offline", "-", "-", "-", "-", "-", "-"]


def test_short_ids_stay_unique() -> None:
    assert render.short_ids(["a" * 52, "a" * 10 + "b" * 42]) == {
        "a" * 52: "a" * 11,
        "a" * 10 + "b" * 42: "a" * 10 + "b",
    }
