"""Text of strangers for people and for logs (pure)."""

from __future__ import annotations

MAX_TEXT = 200


def printable(text: str) -> str:
    """One line of at most MAX_TEXT characters: what could begin a line, or tell a terminal something, is a `?`."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_TEXT])
