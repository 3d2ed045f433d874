"""A home, a fake node that answers for it, and a way to run commands."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from atmosphere.cli.app import atmosphere
from tests.cli.fake import FakeLife, FakeNode, running

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ATMOSPHERE_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """--debug and --log-level set the root logger's level; put it back."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def invoke(home: Path) -> Invoke:
    """Run `atmosphere --home HOME …`."""

    def run(*arguments: str, input: str | None = None, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(atmosphere, ["--home", str(home), *arguments], input=input, env=env)

    return run


@pytest.fixture
def life() -> FakeLife:
    """What `stop` stops."""
    return FakeLife()


@pytest.fixture
def node(home: Path, life: FakeLife) -> Iterator[FakeNode]:
    """A fake node that runs for the home."""
    fake = FakeNode()
    with running(home, fake, life):
        yield fake
