"""What can go wrong, and whose fault it is.

AtmosphereError            everything this package raises on purpose; `.hint` is the one thing that fixes it
├── DecodeError            bytes that are not what their format says (the sender's fault)
├── StateError             a file in the home is torn, foreign, newer or locked
├── NotRunning             no node is running for this home
├── Unreachable            nobody answered in time; the message names every way tried
├── Refused                the other side, or a rule of ours, said no
│   └── CodeError          a join code is mistyped, truncated, expired, used up, revoked, of another mesh or too new
├── UnknownPeer            no member, or more than one, has that name or id
└── LinkError              the link to a peer ended under the caller
    ├── ChannelClosed      a channel ended, or a message was too large for it
    └── StreamReset        the other side gave a stream up before its end
"""

from __future__ import annotations


class AtmosphereError(Exception):
    """Something went wrong; the message is one line for a person, `hint` what to do about it."""

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class DecodeError(AtmosphereError, ValueError):
    """Bytes or text that are not what their format says."""


class StateError(AtmosphereError):
    """A file in the home is torn, foreign, newer than this version, or held by another node."""


class NotRunning(AtmosphereError):
    """No node is running for this home."""


class Unreachable(AtmosphereError):
    """Nobody answered in time."""


class Refused(AtmosphereError):
    """The other side, or a rule of ours, said no."""


class CodeError(Refused):
    """A join code cannot be used; `reason` says why in one word.

    The reasons: mistyped, truncated, malformed, newer, expired, used, revoked, unknown, foreign (of another mesh).
    """

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class UnknownPeer(AtmosphereError):
    """No member, or more than one, has that name or id."""


class LinkError(AtmosphereError):
    """The link to a peer ended under the caller."""


class ChannelClosed(LinkError):
    """A channel ended, or a message was too large for it."""


class StreamReset(LinkError):
    """The other side gave a stream up before its end."""
