"""The folder where files from others arrive. Blocking: for asyncio.to_thread.

What is under way lies in `.atmosphere-partial/<key>/` within the inbox, where the key is made of who sends what:

    content          the file, or the folder with what has arrived of it
    <hash>.part      the file that is arriving; the hash is of its path in the item

An item is moved to its place when it is complete, under a name that was free, so nothing is ever overwritten, and
what was interrupted is taken up when the same is sent again. The folder is locked while a transfer uses it. Names
come through atmosphere.mesh.filenames, and no link is followed, so nothing is ever written anywhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from atmosphere.mesh.filenames import HIDDEN, numbered, safe_name, safe_path
from atmosphere.mesh.files_source import hash_beginning
from atmosphere.mesh.statefile import sync_folder

PARTIAL = f"{HIDDEN}partial"
KEPT = 7 * 86400.0
"""For how many seconds what was interrupted waits to be taken up."""
PATIENCE = 3.0
"""For how many seconds a transfer that begins again waits until the one before has noticed that its link is gone."""
RESERVE = 64 << 20
"""Bytes that are left free on the disk."""
_MOST_NUMBERS = 10_000


class Inbox:
    """A folder where files arrive; made where there is none."""

    def __init__(self, path: Path, *, reserve: int = RESERVE, patience: float = PATIENCE) -> None:
        self.path = path
        self.reserve = reserve
        self._patience = patience

    def stage(self, name: str, folder: bool, key: bytes) -> Staging:
        """Where an item arrives, with what came of it before; OSError when that cannot be."""
        base = self.path / PARTIAL
        self.path.mkdir(parents=True, exist_ok=True)
        _make_real_folder(base)
        self._sweep(base)
        digest = hashlib.sha256(f"{name}\0{folder}\0".encode(errors="replace") + key).hexdigest()[:32]
        staging = Staging(self, base / digest, safe_name(name), folder)
        until = time.monotonic() + self._patience
        while not (locked := staging.lock()) and time.monotonic() < until:
            time.sleep(0.05)
        if not locked:
            staging = Staging(self, base / secrets.token_hex(16), safe_name(name), folder)
            staging.lock()
        return staging

    def has_room_for(self, size: int) -> bool:
        """Whether the disk takes so many bytes more and keeps its reserve."""
        return shutil.disk_usage(self.path).free - self.reserve >= size

    def place(self, source: Path, name: str, *, folder: bool) -> str:
        """Move a file or folder into the inbox under the first free name, and return that; OSError if there is none."""
        for number in range(_MOST_NUMBERS):
            free = numbered(name, number, folder=folder)
            target = self.path / free
            try:
                if folder:
                    target.mkdir()
                else:
                    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except FileExistsError:
                continue
            source.replace(target)
            sync_folder(self.path)
            return free
        raise OSError(f"there are {_MOST_NUMBERS} files called {name}")

    def _sweep(self, base: Path) -> None:
        """Remove what waited too long."""
        oldest = time.time() - KEPT
        for old in base.iterdir():
            with contextlib.suppress(OSError):
                if old.stat(follow_symlinks=False).st_mtime < oldest:
                    shutil.rmtree(old)


class Staging:
    """Where one item arrives."""

    def __init__(self, inbox: Inbox, path: Path, name: str, folder: bool) -> None:
        self._inbox = inbox
        self._path = path
        self._name = name
        self._folder = folder
        self._content = path / "content"
        self._descriptor: int | None = None
        self._taken: set[str] = set()

    def lock(self) -> bool:
        """Whether this is now ours alone."""
        _make_real_folder(self._path)
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        if not self._path.exists():  # whoever had it is done with it
            os.close(descriptor)
            return False
        os.utime(descriptor)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Leave it for another time."""
        with contextlib.suppress(OSError):
            self._path.rmdir()  # where nothing is there
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def make_folder(self, path: Sequence[str]) -> None:
        """A folder of the item; DecodeError for a path that is too much, OSError when it cannot be made."""
        names = safe_path(path)
        if self._folder:
            self._parent(self._content, names)

    def file(self, path: Sequence[str], size: int | None, *, executable: bool, resume: bool) -> Incoming:
        """A file of the item, to be written; DecodeError for a path that is too much, OSError if it cannot be made."""
        target = self._target(safe_path(path))
        part = self._path / (hashlib.sha256("/".join(path).encode(errors="replace")).hexdigest()[:32] + ".part")
        if resume and _is_file(target):
            target.replace(part)
        else:
            _remove(target)  # of an earlier attempt
        saved_as = "" if target == self._content else target.relative_to(self._content).as_posix()
        incoming = Incoming(part, target, saved_as, executable=executable, resume=resume)
        if size is not None and not self._inbox.has_room_for(size - incoming.offset):
            incoming.close()
            raise OSError("there is not enough room on the disk")
        return incoming

    def place(self) -> str:
        """Move the item to its place; what it is called there, "" if nothing has come of it. OSError if none is."""
        name = ""
        self._settle()
        if os.path.lexists(self._content):
            name = self._inbox.place(self._content, self._name, folder=self._folder)
        shutil.rmtree(self._path, ignore_errors=True)
        return name

    def _settle(self) -> None:
        """Remove what an earlier attempt brought and this one did not name, and have the folders on the disk."""
        for folder, _, files in os.walk(self._content):
            for file in files:
                path = Path(folder, file)
                if str(path).casefold() not in self._taken:
                    path.unlink()
            sync_folder(Path(folder))

    def has_room(self) -> bool:
        """Whether the disk still keeps its reserve."""
        return self._inbox.has_room_for(0)

    def _target(self, names: tuple[str, ...]) -> Path:
        """Where a file goes: its own place, even where two names of the sender's come to one here."""
        if not self._folder or not names:
            if self._folder or names or self._taken:
                raise OSError("a file that is no part of the item")
            self._taken.add("")
            return self._content
        parent = self._parent(self._content, names[:-1])
        for number in range(_MOST_NUMBERS):
            target = parent / numbered(names[-1], number)
            if str(target).casefold() not in self._taken:
                self._taken.add(str(target).casefold())
                return target
        raise OSError(f"there are {_MOST_NUMBERS} files called {names[-1]}")

    def _parent(self, folder: Path, names: tuple[str, ...]) -> Path:
        _make_real_folder(folder, 0o777)
        for name in names:
            folder = folder / name
            _make_real_folder(folder, 0o777)
        return folder


class Incoming:
    """A file that is arriving: `offset` bytes of it are here, `digest` is their running SHA-256.

    `saved_as` is its path within the item, "" where it is the item.
    """

    def __init__(self, part: Path, target: Path, saved_as: str, *, executable: bool, resume: bool) -> None:
        self.saved_as = saved_as
        self._part = part
        self._target = target
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if resume else os.O_TRUNC)
        self._descriptor = os.open(part, flags, 0o777 if executable else 0o666)
        try:
            self.offset = os.fstat(self._descriptor).st_size
            self.digest = hash_beginning(lambda size: os.read(self._descriptor, size), self.offset)
            os.fchmod(self._descriptor, _with_execution(os.fstat(self._descriptor).st_mode, executable))
        except BaseException:
            os.close(self._descriptor)
            raise

    def restart(self) -> None:
        """Begin again from nothing."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.offset, self.digest = 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Take in the next piece; OSError when the disk will not."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self.digest.update(data)
        self.offset += len(data)

    def finish(self) -> None:
        """Have the file on the disk and in the item."""
        os.fsync(self._descriptor)
        self.close()
        self._part.replace(self._target)

    def discard(self) -> None:
        """Remove what has come: it is not worth going on from."""
        self.close()
        self._part.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave what has come for another time; nothing happens the second time."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _make_real_folder(path: Path, mode: int = 0o700) -> None:
    """A folder that is one, and no link to one; OSError otherwise."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode)
    if path.is_symlink() or not path.is_dir():
        raise NotADirectoryError(f"{path.name} is not a folder")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _with_execution(mode: int, executable: bool) -> int:
    """The mode of a file with execution for whoever may read it, or for nobody."""
    readers = mode & 0o444
    return (mode & 0o666) | (readers >> 2 if executable else 0)
