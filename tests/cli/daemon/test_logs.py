"""The log of a background node: private, bounded, rotated."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atmosphere.cli.daemon import logs


@contextmanager
def fresh_root() -> Iterator[None]:
    """The root logger without handlers (pytest has its own there while a test runs), put back afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    logger.handlers.clear()
    try:
        yield
    finally:
        for handler in logger.handlers:
            handler.close()
        logger.handlers[:] = handlers
        logger.setLevel(level)


def test_private_and_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    with fresh_root():
        logs.to_file(home / logs.LOG, "info")
        for number in range(200):
            logging.getLogger("x").info("line %d", number)
            logging.getLogger("x").debug("hidden")
    files = sorted(home.iterdir())
    assert [path.name for path in files] == ["node.log", "node.log.1"]
    assert all(path.stat().st_size <= 2000 and stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert "hidden" not in files[0].read_text()


def test_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_root():
        logs.to_stderr("warning")
        logging.getLogger("x").warning("careful")
        logging.getLogger("x").info("hidden")
    assert capsys.readouterr().err.endswith("WARNING x: careful\n")


@pytest.mark.parametrize(("debugging", "lines"), [(False, 1), (True, 2)])
def test_json(capsys: pytest.CaptureFixture[str], debugging: bool, lines: int) -> None:
    with fresh_root():
        if debugging:
            logging.basicConfig(level=logging.DEBUG)
        logs.to_stderr("warning", as_json=True)
        logging.getLogger("x").warning("careful")
        logging.getLogger("x").debug("hidden")
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in written] == ["careful", "hidden"][:lines]


def test_keep(home: Path) -> None:
    logs.keep(home, ValueError("odd"))
    assert (home / logs.LOG).read_text().endswith("ValueError: odd\n")
    logs.keep(home / "missing", ValueError("odd"))
    assert not (home / "missing").exists()
