"""The text around a code that people carry by hand: forgiving to read, and precise about what is wrong with it.

    text     = prefix, then base32 (lower case, no padding) of the bytes
    bytes    = version (1), length of all the bytes (2), body, checksum (4)
    checksum = the first 4 bytes of SHA-256 over the prefix's letters and all the bytes before

Integers are big-endian, here and in the bodies. The prefix is three letters and the version's digit (`atm1`). The
length tells a code that was cut off from one that was mistyped; the checksum that it was mistyped at all (odds 2^-32).

A *body* is fixed fields, then fields of tag (1), length (1), value. A reader skips the tags it does not know.
"""

from __future__ import annotations

import hashlib
import struct
import unicodedata
from collections.abc import Iterator

from atmosphere import base32
from atmosphere.errors import CodeError, DecodeError

VERSION = 1
MAX_BODY = 4096
"""How long a body may be, in bytes."""

_HEAD = struct.Struct("!BH")
_CHECKSUM = 4
_COPY = "Copy the whole code again, from its first character to its last."
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_COMMANDS = ("atmospherejoin", "atmosphereaccept")
_MAX_TEXT = 16384
# The digits that base32 leaves out are its letters misread. 9 could be g or q, so it stays an error.
_MISREAD = str.maketrans("018", "olb")


def wrap(prefix: str, body: bytes) -> str:
    """The text of `body` under a three-letter prefix; ValueError when it is longer than MAX_BODY."""
    if len(body) > MAX_BODY:
        raise ValueError(f"a code holds at most {MAX_BODY} bytes, not {len(body)}")
    data = _HEAD.pack(VERSION, _HEAD.size + len(body) + _CHECKSUM) + body
    return f"{prefix}{VERSION}" + base32.encode(data + _checksum(prefix, data))


def unwrap(prefix: str, text: str, what: str) -> bytes:
    """The body in a text that a person copied, or CodeError (malformed, truncated, mistyped, newer).

    White space, dashes, quotes and other punctuation between the characters, case, full-width forms, and the digits 0,
    1 and 8 for o, l and b are forgiven; so is a whole command copied with the code. `what` names the code in errors.
    """
    characters = _after_prefix(prefix, _letters(text), what)
    data = _bytes_of(prefix, characters, what)
    if data[0] != VERSION:
        raise newer(what)
    return data[_HEAD.size : -_CHECKSUM]


def looks_like(prefix: str, text: str) -> bool:
    """Whether a text, right or wrong, was meant as a code with this prefix."""
    return _letters(text).startswith(prefix)


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each (tag, value) of a run of fields; DecodeError when one overruns the end."""
    place = 0
    while place < len(data):
        value = data[place + 2 : place + 2 + data[place + 1]] if place + 1 < len(data) else None
        if value is None or len(value) != data[place + 1]:
            raise DecodeError("a field overruns the end")
        yield data[place], value
        place += 2 + len(value)


def field(tag: int, value: bytes) -> bytes:
    """One field; ValueError when the value is longer than 255 bytes."""
    return bytes((tag, len(value))) + value


def _letters(text: str) -> str:
    """Letters and digits alone, in lower case: all else is decoration that got copied along."""
    if len(text) > _MAX_TEXT:
        raise CodeError("that is far too long for a code", reason="malformed")
    plain = unicodedata.normalize("NFKC", text).lower()
    letters = "".join(letter for letter in plain if letter.isalnum())
    for command in _COMMANDS:
        letters = letters.removeprefix(command)
    return letters


def _after_prefix(prefix: str, letters: str, what: str) -> str:
    if not letters.startswith(prefix) or len(letters) == len(prefix):
        raise _foreign_text(prefix, letters, what)
    digit, rest = letters[len(prefix)], letters[len(prefix) + 1 :]
    if digit in "23456789":
        raise newer(what)
    if digit not in "1li":
        raise _foreign_text(prefix, letters, what)
    return rest.translate(_MISREAD)


def _foreign_text(prefix: str, letters: str, what: str) -> CodeError:
    if letters and f"{prefix}{VERSION}".startswith(letters):
        return CodeError(f"the {what} ends after its first {len(letters)} characters", reason="truncated", hint=_COPY)
    hint = f'A {what} starts with "{prefix}{VERSION}".'
    return CodeError(f"that is not a {what}", reason="malformed", hint=hint)


def _bytes_of(prefix: str, characters: str, what: str) -> bytes:
    """The bytes that `characters` spell, checksum verified."""
    wrong = next((place for place, letter in enumerate(characters) if letter not in _ALPHABET), None)
    if wrong is not None:
        message = f'the {what} is mistyped: "{characters[wrong]}" (character {wrong + 5}) is in no code'
        raise CodeError(message, reason="mistyped", hint=_COPY)
    expected = _expected_length(characters)
    if expected is None or len(characters) < expected:
        of = "" if expected is None else f" of {expected + 4}"
        message = f"the {what} is cut off after {len(characters) + 4}{of} characters"
        raise CodeError(message, reason="truncated", hint=_COPY)
    try:
        data = base32.decode(characters) if len(characters) == expected else b""
    except DecodeError:
        data = b""
    if not data or data[-_CHECKSUM:] != _checksum(prefix, data[:-_CHECKSUM]):
        raise CodeError(f"the {what} is mistyped", reason="mistyped", hint=_COPY)
    return data


def _expected_length(characters: str) -> int | None:
    """How many characters the code's own length field announces; None where not even that has arrived."""
    if len(characters) < 8:
        return None
    _, size = _HEAD.unpack(base32.decode(characters[:8])[: _HEAD.size])
    return base32.length(max(size, _HEAD.size + _CHECKSUM))


def newer(what: str) -> CodeError:
    """The error that a code of a later version deserves."""
    message = f"the {what} was made by a newer version of Atmosphere"
    return CodeError(message, reason="newer", hint="Upgrade: pip install --upgrade atmosphere-mesh")


def _checksum(prefix: str, data: bytes) -> bytes:
    return hashlib.sha256(prefix.encode() + data).digest()[:_CHECKSUM]
