from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atmosphere.errors import StateError
from atmosphere.mesh import statefile


class Body(msgspec.Struct):
    number: int


def load(path: Path) -> Body | None:
    return statefile.load(path, "test", 1, Body)


def complaint(path: Path) -> str:
    before = path.read_bytes()
    with pytest.raises(StateError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    return str(caught.value)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    assert load(path) is None
    for number in (1, 2):
        statefile.save(path, "test", 1, Body(number))
        assert load(path) == Body(number)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_what_is_no_such_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    statefile.save(path, "test", 1, Body(7))
    whole = path.read_bytes()
    for data, words in (
        (b"", "no file of"),
        (b"hello", "no file of"),
        (b'{"format":"other","version":1,"checksum":"","body":1}', "no file of"),
        (whole[:-20], "torn"),
        (whole.replace(b'"number":7', b'"number":8'), "torn"),
        (b'{"format":"atmosphere ' + b"[" * 5000, "torn"),
    ):
        path.write_bytes(data)
        assert words in complaint(path)
    statefile.save(path, "other", 1, Body(7))
    assert "another file" in complaint(path)
    statefile.save(path, "test", 2, Body(7))
    assert "newer version" in complaint(path)
    statefile.save(path, "test", 1, {"number": "seven"})
    assert "torn" in complaint(path)


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_state_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(data)
    complaint(path)


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        statefile.read(tmp_path)
    path = tmp_path / "large"
    path.write_bytes(b"12345")
    monkeypatch.setattr(statefile, "_MAX_SIZE", 4)
    with pytest.raises(StateError, match="too large"):
        statefile.read(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    statefile.save(path, "test", 1, Body(1))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match=r"cannot be written: No space left"):
        statefile.save(path, "test", 1, Body(2))
    assert load(path) == Body(1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_a_file_where_no_folder_is(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be written"):
        statefile.write(tmp_path / "none" / "file", b"")


def test_folders_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    statefile.make_folder(folder)
    folder.chmod(0o755)
    statefile.make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be made"):
        statefile.make_folder(tmp_path / "file" / "folder")


def test_secrets_are_taken_from_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    statefile.tighten(path)
    assert not caplog.records
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        statefile.tighten(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "could be read by others" in caplog.text


def test_secrets_that_cannot_be_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.chmod(0o644)

    def refuse(self: Path, mode: int) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "chmod", refuse)
    statefile.tighten(path)
    assert "cannot be changed" in caplog.text
