"""The group's flags, and config.toml as defaults of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from atmosphere.cli.state import State, default_home
from atmosphere.errors import StateError


def test_default_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert State().home.name == "atmosphere"
    monkeypatch.setenv("ATMOSPHERE_HOME", str(tmp_path / "x"))
    assert default_home() == tmp_path / "x"


def test_defaults(home: Path) -> None:
    (home / "config.toml").write_text('port = 1\npath-policy = "relay"\n[ping]\ncount = 9\n[relay]\nport = 2\n')
    defaults = State(home=home).defaults(["serve", "ping", "relay"])
    assert defaults == {
        "serve": {"port": 1, "path_policy": "relay"},
        "ping": {"port": 1, "path_policy": "relay", "count": 9},
        "relay": {"port": 2},
    }


def test_no_file(home: Path) -> None:
    assert State(home=home).defaults(["serve"]) == {"serve": {}}


@pytest.mark.parametrize("content", [b"port = = 1", b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(home: Path, content: bytes) -> None:
    (home / "config.toml").write_bytes(content)
    with pytest.raises(StateError, match=r"config\.toml"):
        State(home=home).defaults([])


def test_a_folder_in_its_place(home: Path) -> None:
    (home / "config.toml").mkdir()
    with pytest.raises(StateError, match="cannot be read"):
        State(home=home).defaults([])
