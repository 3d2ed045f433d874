from __future__ import annotations

import fcntl
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atmosphere.errors import DecodeError
from atmosphere.mesh import inbox as module
from atmosphere.mesh.filenames import MAX_DEPTH
from atmosphere.mesh.inbox import KEPT, PARTIAL, Inbox, Staging

KEY = b"key"


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


def put(staging: Staging, data: bytes, *path: str, executable: bool = False, resume: bool = False) -> str:
    incoming = staging.file(path, len(data), executable=executable, resume=resume)
    incoming.restart()
    incoming.write(data)
    incoming.finish()
    return incoming.saved_as


def receive(inbox: Inbox, name: str, data: bytes) -> str:
    staging = inbox.stage(name, False, KEY)
    put(staging, data)
    try:
        return staging.place()
    finally:
        staging.release()


def listing(inbox: Inbox) -> dict[str, bytes | None]:
    return {
        path.relative_to(inbox.path).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(inbox.path.rglob("*"))
        if PARTIAL not in path.parts
    }


def leftovers(inbox: Inbox) -> list[Path]:
    return list((inbox.path / PARTIAL).iterdir())


def test_nothing_is_overwritten(inbox: Inbox) -> None:
    inbox.path.mkdir()
    (inbox.path / "link.txt").symlink_to("nowhere")
    assert [receive(inbox, "a.txt", data) for data in (b"1", b"2", b"3")] == ["a.txt", "a (1).txt", "a (2).txt"]
    assert receive(inbox, "link.txt", b"4") == "link (1).txt"
    assert not (inbox.path / "nowhere").exists()
    (inbox.path / "link.txt").unlink()
    assert listing(inbox) == {"a.txt": b"1", "a (1).txt": b"2", "a (2).txt": b"3", "link (1).txt": b"4"}
    assert leftovers(inbox) == []


def test_a_folder_stays_together(inbox: Inbox) -> None:
    for expected in ("photos", "photos (1)"):
        staging = inbox.stage("photos", True, KEY)
        staging.make_folder([])
        staging.make_folder(["empty", "inner"])
        assert put(staging, b"1", "a") == "a"
        assert put(staging, b"2", "sub", "b", executable=True) == "sub/b"
        assert staging.place() == expected
        staging.release()
    content = listing(inbox)
    assert content["photos (1)/sub/b"] == b"2"
    assert content["photos/empty/inner"] is None
    assert (inbox.path / "photos/sub/b").stat().st_mode & 0o100
    assert not (inbox.path / "photos/a").stat().st_mode & 0o111


def test_nothing_leaves_the_inbox(inbox: Inbox) -> None:
    staging = inbox.stage("../../out", True, KEY)
    put(staging, b"1", "..", "..", "out")
    put(staging, b"2", "/etc/passwd")
    staging.make_folder(["../x"])
    assert staging.place() == ".._.._out"
    assert set(listing(inbox)) == {
        ".._.._out",
        ".._.._out/unnamed",
        ".._.._out/unnamed/unnamed",
        ".._.._out/unnamed/unnamed/out",
        ".._.._out/_etc_passwd",
        ".._.._out/.._x",
    }


def test_links_are_not_followed(inbox: Inbox, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    staging = inbox.stage("folder", True, KEY)
    staging.make_folder([])
    content = next((inbox.path / PARTIAL).iterdir()) / "content"
    (content / "link").symlink_to(outside)
    with pytest.raises(OSError, match="not a folder"):
        put(staging, b"1", "link", "file")
    with pytest.raises(OSError, match="not a folder"):
        staging.make_folder(["link"])
    put(staging, b"1", "link")
    assert list(outside.iterdir()) == []
    staging.release()
    (inbox.path / PARTIAL).rename(tmp_path / "elsewhere")
    (inbox.path / PARTIAL).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="not a folder"):
        inbox.stage("folder", True, KEY)


def test_two_names_that_come_to_one(inbox: Inbox) -> None:
    staging = inbox.stage("folder", True, KEY)
    assert [put(staging, b"1", name) for name in ("a:b", "a?b", "A_B")] == ["a_b", "a_b (1)", "A_B (2)"]


def test_what_is_no_part_of_the_item(inbox: Inbox) -> None:
    file, folder = inbox.stage("file", False, KEY), inbox.stage("folder", True, KEY)
    file.make_folder(["ignored"])
    put(file, b"1")
    for staging, path in ((file, ()), (file, ("a",)), (folder, ())):
        with pytest.raises(OSError, match="no part"):
            put(staging, b"2", *path)
    with pytest.raises(DecodeError):
        folder.make_folder(["d"] * (MAX_DEPTH + 1))


def test_what_was_interrupted_is_taken_up(inbox: Inbox) -> None:
    staging = inbox.stage("film", False, KEY)
    incoming = staging.file((), 10, executable=False, resume=True)
    incoming.write(b"12345")
    incoming.close()
    incoming.close()
    staging.release()
    again = inbox.stage("film", False, KEY)
    incoming = again.file((), 10, executable=True, resume=True)
    assert incoming.offset == 5
    assert incoming.digest.digest() == hashlib.sha256(b"12345").digest()
    incoming.write(b"67890")
    incoming.finish()
    assert again.place() == "film"
    assert listing(inbox) == {"film": b"1234567890"}
    assert (inbox.path / "film").stat().st_mode & 0o100


def test_what_was_complete_is_taken_up_too(inbox: Inbox) -> None:
    staging = inbox.stage("folder", True, KEY)
    put(staging, b"one", "1")
    put(staging, b"two", "2")
    put(staging, b"gone", "sub", "3")
    staging.release()
    again = inbox.stage("folder", True, KEY)
    incoming = again.file(("1",), 3, executable=False, resume=True)
    assert incoming.offset == 3
    incoming.finish()
    put(again, b"new", "2")
    assert again.place() == "folder"
    assert listing(inbox) == {"folder": None, "folder/1": b"one", "folder/2": b"new", "folder/sub": None}


def test_a_folder_that_became_a_file(inbox: Inbox) -> None:
    staging = inbox.stage("folder", True, KEY)
    put(staging, b"1", "was", "inner")
    staging.release()
    again = inbox.stage("folder", True, KEY)
    put(again, b"2", "was", resume=True)
    again.place()
    assert listing(inbox) == {"folder": None, "folder/was": b"2"}


def test_other_senders_are_others(inbox: Inbox) -> None:
    staging = inbox.stage("film", False, KEY)
    staging.file((), 3, executable=False, resume=True).write(b"123")
    staging.release()
    assert inbox.stage("film", False, b"other").file((), 3, executable=False, resume=True).offset == 0
    assert inbox.stage("film", True, KEY).file(("film",), 3, executable=False, resume=True).offset == 0


def test_who_begins_again_waits_for_the_one_before(inbox: Inbox) -> None:
    before = inbox.stage("film", False, KEY)
    before.file((), 3, executable=False, resume=True).write(b"123")
    with ThreadPoolExecutor(1) as threads:
        beginning = threads.submit(inbox.stage, "film", False, KEY)
        with pytest.raises(TimeoutError):
            beginning.result(0.1)
        before.release()
        assert beginning.result(5).file((), 3, executable=False, resume=True).offset == 3


def test_the_same_twice_at_once(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox", patience=0.06)
    one, two = inbox.stage("film", False, KEY), inbox.stage("film", False, KEY)
    put(one, b"1")
    put(two, b"2")
    assert (one.place(), two.place()) == ("film", "film (1)")
    one.release()
    two.release()


def test_a_place_that_vanishes(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever had the lock removes the folder just as it is locked: another place is found."""
    real = fcntl.flock
    vanished: list[str] = []

    def flock(descriptor: int, how: int) -> None:
        real(descriptor, how)
        if not vanished:
            vanished.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            os.rmdir(vanished[0])

    monkeypatch.setattr("fcntl.flock", flock)
    staging = inbox.stage("film", False, KEY)
    put(staging, b"1")
    assert staging.place() == "film"
    assert vanished


def test_nothing_comes_of_nothing(inbox: Inbox) -> None:
    staging = inbox.stage("film", False, KEY)
    incoming = staging.file((), 3, executable=False, resume=True)
    incoming.write(b"12")
    incoming.discard()
    incoming.discard()
    assert staging.place() == ""
    staging.release()
    staging.release()
    assert listing(inbox) == {}
    assert leftovers(inbox) == []
    inbox.stage("film", False, KEY).release()
    assert leftovers(inbox) == []


def test_a_full_disk(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = inbox.stage("film", False, KEY)
    inbox.reserve = 1 << 60
    with pytest.raises(OSError, match="not enough room"):
        staging.file((), 3, executable=False, resume=True)
    assert not staging.has_room()


def test_a_short_write_goes_on(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:2]))
    assert receive(inbox, "film", b"12345") == "film"
    assert listing(inbox) == {"film": b"12345"}


def test_what_cannot_be_read_again(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = inbox.stage("film", False, KEY)

    def broken(*arguments: object) -> None:
        raise OSError("broken")

    monkeypatch.setattr(module, "hash_beginning", broken)
    with pytest.raises(OSError, match="broken"):
        staging.file((), 3, executable=False, resume=True)


def test_too_many_of_a_name(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_NUMBERS", 1)
    assert receive(inbox, "film", b"1") == "film"
    with pytest.raises(OSError, match="called film"):
        receive(inbox, "film", b"2")
    staging = inbox.stage("folder", True, KEY)
    put(staging, b"1", "a")
    with pytest.raises(OSError, match="called a"):
        put(staging, b"1", "a")


def test_what_waited_too_long_is_removed(inbox: Inbox) -> None:
    staging = inbox.stage("film", False, KEY)
    staging.file((), 3, executable=False, resume=True).write(b"123")
    staging.release()
    (old,) = leftovers(inbox)
    os.utime(old, (0, time.time() - KEPT - 60))
    inbox.stage("other", False, KEY).release()
    assert leftovers(inbox) == []
