"""Where the control socket of a home is: in the home, or, where that path is too long for AF_UNIX, elsewhere."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

MAX_PATH = 100
"""Bytes of a socket's path: Linux takes 107, macOS 103."""

_NAME, _POINTER = "control.sock", "control.path"


def locate(home: Path) -> Path | None:
    """The path of the socket as the home has it; None when the home names none."""
    here = home / _NAME
    if _fits(here):
        return here
    try:
        return Path((home / _POINTER).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return None


def bind(home: Path) -> tuple[socket.socket, Path]:
    """A listening-ready socket that only this user can reach, and its path. The caller holds the home's lock."""
    forget(home)
    path = home / _NAME
    if not _fits(path):
        path = Path(tempfile.mkdtemp(prefix="atmosphere-", dir=os.environ.get("XDG_RUNTIME_DIR") or None)) / "c"
        (home / _POINTER).write_text(f"{path}\n", encoding="utf-8")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound, path


def forget(home: Path) -> None:
    """Remove the socket of a node that has ended, and the private folder it may have had."""
    path = locate(home)
    if path is None:
        return
    path.unlink(missing_ok=True)
    if path.parent != home:
        (home / _POINTER).unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:
            return  # never ours alone, or already gone


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_PATH
