"""send: what reaches the node, what is said of the result, and how stdin gets there."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from atmosphere.errors import Unreachable
from tests.cli.conftest import Invoke
from tests.cli.fake import FakeNode

Sent = list[tuple[list[str], str | None, list[bytes]]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What the node was to send: paths, another name, contents."""
    asked: Sent = []

    async def send(peer: Any, paths: Sequence[str], as_name: str | None, report: Any) -> Any:
        asked.append((list(paths), as_name, contents(paths)))
        report.soon({"name": "film", "done": 1, "total": 2})
        if as_name == "slow":
            await report({"waiting": "the link to desk broke\x1b"})
        results = [
            {"name": "film", "size": 9, "saved_as": "film (2)", "error": "", "resumed_at": 0},
            {"name": "pics/a", "size": 1, "saved_as": "pics/a", "error": "", "resumed_at": 0},
        ]
        if as_name == "bad":
            results[0]["error"] = "disk full"
        sums = {"files": 2, "bytes": 10, "seconds": 0.5, "mb_per_s": 12.4}
        return {"peer": peer.name, **sums, "results": results, "path": None}

    monkeypatch.setattr("atmosphere.cli.daemon.services.send", send)
    return asked


def contents(paths: Sequence[str]) -> list[bytes]:
    return [Path(path).read_bytes() for path in paths if Path(path).is_file()]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.write_bytes(b"pictures!")
    return path


def test_send(invoke: Invoke, node: FakeNode, sent: Sent, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(film.parent)
    result = invoke("send", "film", str(film.parent), "desk")
    assert result.exit_code == 0, result.output
    assert result.stdout == "film → film (2)\npics\nsent 2 files (10 B) to desk, 12.4 MB/s\n"
    assert sent == [([str(film), str(film.parent)], None, [b"pictures!"])]


def test_a_name_that_is_no_text(invoke: Invoke, node: FakeNode, sent: Sent, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff")
    odd.write_bytes(b"x")
    assert invoke("send", str(odd), "desk").exit_code == 0
    assert sent[0][0] == [str(odd)]


def test_json(invoke: Invoke, node: FakeNode, sent: Sent, film: Path) -> None:
    document = json.loads(invoke("--json", "send", str(film), "desk").stdout)
    assert list(document) == ["peer", "files", "bytes", "seconds", "mb_per_s", "results", "path"]


def test_stdin(invoke: Invoke, node: FakeNode, sent: Sent, home: Path) -> None:
    assert invoke("send", "-", "desk", "--as", "notes", input="from a pipe").exit_code == 0
    [(_, name, content)] = sent
    assert (name, content) == ("notes", [b"from a pipe"])
    assert not list(home.glob(".send-*"))
    assert invoke("send", "-", "desk", input="x").exit_code == 0
    assert sent[1][1] == "stdin"


def test_what_did_not_arrive(invoke: Invoke, node: FakeNode, sent: Sent, film: Path) -> None:
    result = invoke("send", str(film), "desk", "--as", "bad")
    assert result.exit_code == 1
    assert result.stderr.startswith("film: disk full\nError: 1 file was not sent\nTry: ")


def test_no_such_file(invoke: Invoke, node: FakeNode, sent: Sent) -> None:
    result = invoke("send", "/nowhere/at/all", "desk")
    assert (result.exit_code, result.stderr) == (1, "Error: No such file or directory: /nowhere/at/all\n")
    assert sent == []


@pytest.mark.parametrize("wrong", [["film"], ["-", "film", "desk"], ["film", "pics", "desk", "--as", "x"]])
def test_usage(invoke: Invoke, wrong: list[str]) -> None:
    assert invoke("send", *wrong).exit_code == 2


def test_unreachable(invoke: Invoke, node: FakeNode, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(timeout: float | None = None) -> None:
        raise Unreachable("desk is not connected")

    monkeypatch.setattr(node.members[0], "wait_connected", nobody)
    assert invoke("send", str(film), "desk").exit_code == 4
    assert invoke("send", str(film), "nobody").exit_code == 1


def test_no_node(invoke: Invoke, film: Path) -> None:
    assert invoke("send", str(film), "desk").exit_code == 3
    assert invoke("send", "-", "desk", input="x").exit_code == 3


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/abs", "../../evil"])
def test_another_name_is_a_name(invoke: Invoke, node: FakeNode, sent: Sent, film: Path, name: str) -> None:
    result = invoke("send", str(film), "desk", "--as", name)
    assert (result.exit_code, sent) == (2, [])
    assert "Error: --as takes a name, not a path" in result.stderr


def test_a_broken_link_is_told(invoke: Invoke, node: FakeNode, sent: Sent, film: Path) -> None:
    result = invoke("send", str(film), "desk", "--as", "slow")
    assert result.exit_code == 0
    assert "the link to desk broke\ufffd\n" in result.stderr
