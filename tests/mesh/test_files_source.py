from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from atmosphere.mesh.filenames import MAX_DEPTH
from atmosphere.mesh.files_source import Reading, Source, hash_beginning, look_up, reason


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file.sh"
    path.write_bytes(b"12345")
    path.chmod(0o755)
    item = look_up(path)
    assert (item.name, item.folder, item.size, item.left_out) == ("file.sh", False, 5, [])
    (entry,) = item.entries
    assert (entry.path, entry.size, entry.executable, entry.source) == ((), 5, True, path)
    assert look_up(path).token == item.token != look_up(tmp_path).token
    assert len(item.token) == 16
    assert look_up(path, "other").name == "other"


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    (folder / "b" / "empty").mkdir(parents=True)
    (folder / "b" / "two").write_bytes(b"22")
    (folder / "a").write_bytes(b"1")
    (folder / "link").symlink_to("/etc/passwd")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        item = look_up(Path("."))
    assert (item.name, item.folder, item.size) == ("folder", True, 3)
    assert [(entry.path, entry.folder) for entry in item.entries] == [
        ((), True),
        (("a",), False),
        (("b",), True),
        (("b", "empty"), True),
        (("b", "two"), False),
    ]
    assert item.left_out == [("link", "a symbolic link is not sent"), ("socket", "neither a file nor a folder")]


def test_a_link_that_is_named_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    item = look_up(tmp_path / "link")
    assert item.name == "link"
    with_link = Reading(item.entries[0].source or Path())
    assert with_link.read(10) == b"1"
    with_link.close()


def test_what_cannot_be_sent(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "none", tmp_path / "loop", Path("/dev/null")):
        item = look_up(path)
        assert item.entries == []
        assert [name for name, _ in item.left_out] == [path.name]


def test_what_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        assert look_up(Path("/")).name == "root"
        assert look_up(tmp_path / "folder").left_out == [("", "Permission denied")]

    class Vanishing:
        name = "gone"
        path = "gone"

        def stat(self, *, follow_symlinks: bool) -> None:
            raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "scandir", lambda path: [Vanishing()])
    assert look_up(tmp_path / "folder").left_out == [("gone", "No such file or directory")]


def test_too_deep(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(MAX_DEPTH + 2):
        folder = folder / "d"
    folder.mkdir(parents=True)
    item = look_up(tmp_path)
    assert len(item.entries) == MAX_DEPTH
    assert item.left_out == [("/".join("d" * MAX_DEPTH), f"more than {MAX_DEPTH} folders deep")]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).touch()
    assert look_up(tmp_path).entries[1].path == ("\ufffd.txt",)


def test_a_pipe() -> None:
    source = Source("stdin", lambda size: b"")
    item = look_up(source)
    assert (item.name, item.size, item.entries[0].size) == ("stdin", None, None)
    assert look_up(source, "dump").name == "dump"
    assert look_up(source).token != item.token
    reading = Reading(source.read)
    assert reading.read(1) == b""
    reading.close()


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    reading = Reading(path)
    assert hash_beginning(reading.read, 4).digest() == hashlib.sha256(b"cont").digest()
    assert reading.read(100) == b"ent"
    reading.rewind()
    assert hash_beginning(reading.read, 100).digest() == hashlib.sha256(b"content").digest()
    reading.close()
    reading.close()


def test_a_file_that_became_something_else(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no longer a file"):
        Reading(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(OSError, match="symbolic"):
        Reading(tmp_path / "link")


def test_reasons() -> None:
    assert reason(OSError(28, "No space left on device")) == "No space left on device"
    assert reason(OSError("words")) == "words"
    assert reason(OSError()) == "OSError"
