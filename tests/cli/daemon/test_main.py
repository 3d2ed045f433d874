"""The background process: settings from stdin, one line to stdout, nothing else."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from atmosphere.cli.control import messages
from atmosphere.cli.daemon import __main__ as program
from atmosphere.cli.daemon.options import NodeOptions, Ready, Start
from atmosphere.errors import CodeError, StateError

READY = Ready("n" * 52, "laptop", None, None, 1, [], 1)


class Bytes:
    """A standard stream with nothing but its buffer."""

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, home: Path) -> Bytes:
    """stdout of a background process that is told to start with the defaults."""
    start, out = Start(os.fsencode(home), NodeOptions()), Bytes()
    streams = SimpleNamespace(stdin=Bytes(msgspec.json.encode(start)), stdout=out)
    monkeypatch.setattr(program, "sys", streams)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr("atmosphere.cli.daemon.logs.to_file", lambda *_: None)
    return out


def test_ready(said: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.cli.daemon.run.serve", lambda home, options, announce: announce(READY))
    assert program.main() == 0
    reply = messages.decode_reply(said.buffer.getvalue())
    assert isinstance(reply, messages.Done)
    assert msgspec.convert(reply.data, Ready) == READY


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (StateError("torn", hint="restore it"), "state", 1),
        (CodeError("no", reason="used"), "code", 5),
        (KeyError("x"), "failed", 1),
    ],
)
def test_failure(said: Bytes, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, code: int) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("atmosphere.cli.daemon.run.serve", fail)
    assert program.main() == code
    reply = messages.decode_reply(said.buffer.getvalue())
    assert isinstance(reply, messages.Failed)
    assert reply.kind == kind


def test_settings_that_are_none(said: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    program.sys.stdin = Bytes(b"garbage")  # type: ignore[attr-defined]
    assert program.main() == 1
    assert b"decode" in said.buffer.getvalue()


def test_nobody_listens(said: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Bytes):
        def __init__(self) -> None:
            self.buffer = self  # type: ignore[assignment]

        def write(self, data: bytes) -> int:
            raise BrokenPipeError

    program.sys.stdout = Broken()  # type: ignore[attr-defined]
    monkeypatch.setattr("atmosphere.cli.daemon.run.serve", lambda home, options, announce: announce(READY))
    assert program.main() == 0
