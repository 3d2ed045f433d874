"""The control socket's place: in the home, or in a private folder that the home names."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from atmosphere.cli.control import place


def test_in_the_home(home: Path) -> None:
    bound, path = place.bind(home)
    with bound:
        assert path == home / "control.sock" == place.locate(home)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    place.forget(home)
    assert not path.exists()


def test_long_home(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 20) / ("deeper" * 20)
    home.mkdir(parents=True)
    assert place.locate(home) is None
    bound, path = place.bind(home)
    with bound:
        assert place.locate(home) == path
        assert len(str(path)) <= place.MAX_PATH
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    place.forget(home)
    assert not path.parent.exists()
    assert place.locate(home) is None


def test_a_dead_nodes_socket_is_replaced(home: Path) -> None:
    place.bind(home)[0].close()
    bound, _ = place.bind(home)
    bound.close()


def test_a_bind_that_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="No such file"):
        place.bind(home / "missing")
