"""Names for files from elsewhere: whatever a peer calls them, they are harmless here."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from atmosphere.errors import DecodeError

MAX_NAME = 240
"""Bytes of a name (file systems take 255), so that a number still fits."""
MAX_DEPTH = 64
MAX_PATH = 3500
"""Bytes of a path within the inbox (systems take 4096 for a whole one)."""
HIDDEN = ".atmosphere-"
"""How the names begin that the inbox keeps for itself."""

_FORBIDDEN = frozenset('/\\<>:"|?*')
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789")})


def safe_name(name: str) -> str:
    """A name for one file or folder that every system takes and that means nothing but itself; `name`, where it can be.

    No separators, no control or invisible characters, none of Windows' devices, no dots and spaces at the end, neither
    `.` nor `..`, not one of the inbox's own, at most 240 bytes of UTF-8 with the ending kept.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join("_" if letter in _FORBIDDEN or unicodedata.category(letter)[0] == "C" else letter for letter in text)
    text = _cut(text.strip().rstrip(". ") if text.strip(". ") else "").rstrip(". ")
    if text.partition(".")[0].strip().lower() in _DEVICES or text.lower().startswith(HIDDEN):
        text = "_" + text
    return text or "unnamed"


def safe_path(path: Sequence[str]) -> tuple[str, ...]:
    """The names of a path, each made safe; DecodeError for one that is too deep or too long."""
    if len(path) > MAX_DEPTH:
        raise DecodeError(f"more than {MAX_DEPTH} folders deep")
    names = tuple(safe_name(name) for name in path)
    if len("/".join(names).encode()) > MAX_PATH:
        raise DecodeError("the path is too long")
    return names


def numbered(name: str, number: int, *, folder: bool = False) -> str:
    """`name` with a number before its ending: `a (1).txt`, `a (1).tar.gz`, for a folder `a.d (1)`; as it is for 0."""
    if not number:
        return name
    stem, ending = (name, "") if folder else _split(name)
    return f"{stem} ({number}){ending}"


def _split(name: str) -> tuple[str, str]:
    ending = PurePosixPath(name).suffix
    stem = name.removesuffix(ending) if ending else name
    if stem.lower().endswith(".tar"):
        stem, ending = stem[:-4], stem[-4:] + ending
    return (stem, ending) if stem and len(ending.encode()) <= 32 else (name, "")


def _cut(name: str) -> str:
    if len(name.encode()) <= MAX_NAME:
        return name
    stem, ending = _split(name)
    return stem.encode()[: MAX_NAME - len(ending.encode())].decode(errors="ignore") + ending
