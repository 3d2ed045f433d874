"""Errors and exit codes: what a failure is called on the control socket, and what the process exits with.

0 done · 1 failed · 2 usage · 3 no node is running · 4 unreachable or timed out · 5 refused · 6 interrupted
"""

from __future__ import annotations

import sys

from atmosphere.errors import (
    AtmosphereError,
    ChannelClosed,
    CodeError,
    DecodeError,
    LinkError,
    NotRunning,
    Refused,
    StateError,
    StreamReset,
    UnknownPeer,
    Unreachable,
)

DONE, FAILED, USAGE, NOT_RUNNING, UNREACHABLE, REFUSED, INTERRUPTED = range(7)

REPORT = "run it again with --debug and report what it shows"

_ANOTHER_CODE = {"used", "expired", "revoked", "unknown", "mistyped", "truncated"}

#: The most particular class first: the first that fits an error names it.
KINDS: dict[str, tuple[type[AtmosphereError], int]] = {
    "code": (CodeError, REFUSED),
    "refused": (Refused, REFUSED),
    "unreachable": (Unreachable, UNREACHABLE),
    "not-running": (NotRunning, NOT_RUNNING),
    "unknown-peer": (UnknownPeer, FAILED),
    "state": (StateError, FAILED),
    "decode": (DecodeError, FAILED),
    "channel-closed": (ChannelClosed, UNREACHABLE),
    "stream-reset": (StreamReset, UNREACHABLE),
    "link": (LinkError, UNREACHABLE),
    "failed": (AtmosphereError, FAILED),
}


def kind_of(error: AtmosphereError) -> str:
    """The word that stands for the class of `error` on the control socket."""
    return next(kind for kind, (cls, _) in KINDS.items() if isinstance(error, cls))


def error_of(kind: str, message: str, *, hint: str | None = None, reason: str = "") -> AtmosphereError:
    """The error that `kind_of` named `kind`; an unknown kind is a plain AtmosphereError."""
    cls = KINDS.get(kind, (AtmosphereError, FAILED))[0]
    if issubclass(cls, CodeError):
        return cls(message, reason=reason or "unknown", hint=hint)
    return cls(message, hint=hint)


def exit_code(error: AtmosphereError) -> int:
    """What the process exits with for `error`."""
    return KINDS[kind_of(error)][1]


def hint_for(error: AtmosphereError) -> str | None:
    """What to do about `error`: its own hint, or for a code that is no longer good, how to get another."""
    if error.hint is None and isinstance(error, CodeError) and error.reason in _ANOTHER_CODE:
        return "ask the other side for a new code: atmosphere join"
    return error.hint


def as_atmosphere_error(error: BaseException) -> AtmosphereError:
    """`error` as one of ours: an OSError with its file, a timeout as Unreachable, anything else as unexpected."""
    if isinstance(error, AtmosphereError):
        return error
    if isinstance(error, TimeoutError):
        return Unreachable(str(error) or "nobody answered in time")
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return AtmosphereError(f"{error.strerror or error}{where}")
    return AtmosphereError(f"unexpected {type(error).__name__}: {error}", hint=REPORT)


def one_line(text: str) -> str:
    """`text` without line breaks and control characters: an error is one line whatever it quotes."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def show(message: str, hint: str | None = None) -> None:
    """Print `Error: …` and, where there is a hint, `Try: …` on stderr."""
    lines = f"Error: {one_line(message) or 'failed'}\n" + (f"Try: {one_line(hint)}\n" if hint else "")
    try:
        sys.stderr.write(lines)
        sys.stderr.flush()
    except OSError:
        return  # nobody is left to read it; the exit code still says so
