"""The files and folders that are to be sent, as the sender's disk has them. Blocking: for asyncio.to_thread."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from atmosphere.mesh.filenames import MAX_DEPTH
from atmosphere.mesh.files_wire import PIECE

Read = Callable[[int], bytes]
"""Up to so many bytes, b"" at the end; may block."""


@dataclass(frozen=True)
class Source:
    """Something to send that is no file: what `read` gives (a pipe, stdin), under a name."""

    name: str
    read: Read


@dataclass
class Entry:
    """A file or folder of an item. `path` is empty where the item itself is the file."""

    path: tuple[str, ...]
    folder: bool = False
    size: int | None = None
    executable: bool = False
    source: Path | Read | None = None


@dataclass
class SourceItem:
    """A thing that was named to be sent: its entries, folders before what is in them, and what is left out and why."""

    name: str
    folder: bool = False
    token: bytes = b""
    entries: list[Entry] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(path, reason)."""

    @property
    def size(self) -> int | None:
        """Bytes of all its files; None when that is unknown."""
        sizes = [entry.size for entry in self.entries if not entry.folder]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def look_up(what: Path | Source, as_name: str | None = None) -> SourceItem:
    """What there is to send at a path. A link that is named itself is followed; links within a folder are left out."""
    if isinstance(what, Source):
        entry = Entry((), source=what.read)
        return SourceItem(as_name or what.name, token=secrets.token_bytes(16), entries=[entry])
    path = Path(os.path.abspath(what))
    item = SourceItem(as_name or _text(path.name) or "root")
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError) as error:
        item.left_out.append((item.name, reason(error)))
        return item
    item.token = hashlib.sha256(b"atmosphere item " + os.fsencode(path)).digest()[:16]
    if stat.S_ISDIR(status.st_mode):
        item.folder = True
        item.entries.extend(_walk(real, (), item.left_out))
    elif stat.S_ISREG(status.st_mode):
        item.entries.append(_file(real, (), status))
    else:
        item.left_out.append((item.name, "neither a file nor a folder"))
    return item


class Reading:
    """A source that is open, at its beginning. OSError when it cannot be opened or is no longer what it was."""

    def __init__(self, source: Path | Read) -> None:
        self._descriptor = -1
        if not isinstance(source, Path):
            self.read = source
            return
        # Without O_NONBLOCK a file that became a pipe meanwhile would hold the thread for ever.
        self._descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        self.read = lambda size: os.read(self._descriptor, size)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self.close()
            raise OSError("no longer a file")

    def rewind(self) -> None:
        """Go back to the beginning; only of a file."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def close(self) -> None:
        """Close the file; what is no file is its owner's to close."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def hash_beginning(read: Read, length: int) -> hashlib._Hash:
    """The running SHA-256 of the next `length` bytes, or of as many as there are."""
    digest = hashlib.sha256()
    while length > 0 and (data := read(min(PIECE, length))):
        digest.update(data)
        length -= len(data)
    return digest


def reason(error: Exception) -> str:
    """What went wrong, in words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _walk(folder: Path, path: tuple[str, ...], left_out: list[tuple[str, str]]) -> Iterator[Entry]:
    yield Entry(path, folder=True)
    try:
        children = sorted(os.scandir(folder), key=lambda child: child.name)
    except OSError as error:
        left_out.append(("/".join(path), reason(error)))
        return
    for child in children:
        inner = (*path, _text(child.name))
        try:
            status = child.stat(follow_symlinks=False)
        except OSError as error:
            left_out.append(("/".join(inner), reason(error)))
            continue
        if stat.S_ISREG(status.st_mode):
            yield _file(Path(child.path), inner, status)
        elif why := _why_not(status.st_mode, inner):
            left_out.append(("/".join(inner), why))
        else:
            yield from _walk(Path(child.path), inner, left_out)


def _why_not(mode: int, path: tuple[str, ...]) -> str:
    """Why something that is no file is left out; empty for a folder that can be entered."""
    if stat.S_ISLNK(mode):
        return "a symbolic link is not sent"
    if not stat.S_ISDIR(mode):
        return "neither a file nor a folder"
    return f"more than {MAX_DEPTH} folders deep" if len(path) >= MAX_DEPTH else ""


def _file(source: Path, path: tuple[str, ...], status: os.stat_result) -> Entry:
    return Entry(path, size=status.st_size, executable=bool(status.st_mode & stat.S_IXUSR), source=source)


def _text(name: str) -> str:
    """A file's name as text, even where it is no UTF-8."""
    return os.fsencode(name).decode(errors="replace")
