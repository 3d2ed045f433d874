"""The reply code: a joiner's answer to a join code, carried back by hand where no server helps (`join --manual`).

The text is `atr1` + base32 (atmosphere.codetext gives the frame). The body:

    invite id (8)      which invite this answers
    sealed             what the joiner says, under the invite's seal key (atmosphere.mesh.sealing)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from atmosphere import codetext
from atmosphere.errors import CodeError

PREFIX = "atr"
_ID = 8


@dataclass(frozen=True)
class ReplyCode:
    """A joiner's sealed answer; `str(reply)` is the text to hand back."""

    invite_id: str
    """16 hexadecimal digits."""
    sealed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(bytes.fromhex(self.invite_id)) != _ID or self.invite_id != self.invite_id.lower():
            raise ValueError("an invite's id has 16 hexadecimal digits")

    def __str__(self) -> str:
        return codetext.wrap(PREFIX, bytes.fromhex(self.invite_id) + self.sealed)

    @classmethod
    def parse(cls, text: str) -> ReplyCode:
        """The reply in a text that a person copied; CodeError (malformed, truncated, mistyped, newer) says why not."""
        if codetext.looks_like("atm", text):
            hint = "Use it on the machine that joins: atmosphere join CODE"
            raise CodeError("that is a join code, not a reply code", reason="malformed", hint=hint)
        body = codetext.unwrap(PREFIX, text, "reply code")
        if len(body) <= _ID:
            raise CodeError("the reply code makes no sense: it is too short", reason="malformed")
        return cls(body[:_ID].hex(), body[_ID:])
