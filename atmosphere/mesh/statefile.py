"""Files that are there whole or not at all, and say what they are.

A state file is JSON: `{"format": "atmosphere mesh", "version": 1, "checksum": …, "body": …}`; the checksum is the
SHA-256, in hexadecimal, of the body's bytes as they stand. Whoever writes one writes a temporary file beside it, has
it on the disk (fsync), renames it over the old one and has the folder on the disk: a crash leaves the old file or the
new.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from pathlib import Path
from typing import TypeVar

import msgspec

from atmosphere.errors import StateError

logger = logging.getLogger(__name__)

PRIVATE = 0o600
TEMPORARY = ".writing"
"""The end of a temporary file's name: what a crash leaves behind, to be swept away."""

_MAX_SIZE = 64 << 20
_Body = TypeVar("_Body")


class _File(msgspec.Struct):
    format: str
    version: int
    checksum: str
    body: msgspec.Raw


def write(path: Path, data: bytes) -> None:
    """Put `data` into a file that only its owner can read, whole or not at all; StateError when the disk will not."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StateError(f"{path} cannot be written: {error.strerror or error}") from error


def read(path: Path) -> bytes | None:
    """What a file holds, or None when there is none; StateError when it cannot be read."""
    try:
        if path.stat().st_size > _MAX_SIZE:
            raise StateError(f"{path} is far too large to be ours")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Have a folder's entries on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """A folder that only its owner can enter, parents made where missing; StateError when that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise StateError(f"{folder} cannot be made: {error.strerror or error}") from error


def tighten(path: Path) -> None:
    """Take a secret file away from everybody but its owner."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        try:
            path.chmod(PRIVATE)
        except OSError as error:
            logger.warning("%s can be read by others (mode %o) and that cannot be changed: %s", path, mode, error)
        else:
            logger.warning("%s could be read by others (mode %o); now it cannot", path, mode)


def save(path: Path, kind: str, version: int, body: object) -> None:
    """Write a state file."""
    raw = msgspec.json.encode(body)
    file = _File(f"atmosphere {kind}", version, hashlib.sha256(raw).hexdigest(), msgspec.Raw(raw))
    write(path, msgspec.json.encode(file) + b"\n")


def load(path: Path, kind: str, version: int, body_type: type[_Body]) -> _Body | None:
    """The body of a state file, or None when there is no file.

    StateError names the file and says what is wrong: foreign (of another program or kind), newer than this version can
    read, or torn.
    """
    data = read(path)
    if data is None:
        return None
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        what = "torn" if data.startswith(b'{"format":"atmosphere ') else "no file of Atmosphere's"
        raise damaged(path, what) from error
    if file.format != f"atmosphere {kind}":
        raise damaged(path, "no file of Atmosphere's" if not file.format.startswith("atmosphere ") else "another file")
    if file.version > version:
        hint = "Upgrade: pip install --upgrade atmosphere-mesh"
        raise StateError(f"{path} was written by a newer version of Atmosphere", hint=hint)
    if hashlib.sha256(file.body).hexdigest() != file.checksum:
        raise damaged(path, "torn")
    try:
        return msgspec.json.decode(file.body, type=body_type)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise damaged(path, "torn") from error


def damaged(path: Path, what: str) -> StateError:
    """The error for a file that is not what it should be; it is left as it is."""
    return StateError(
        f"{path} is {what}; it was left as it is", hint=f"Restore it from a copy, or move it away: {path}"
    )
