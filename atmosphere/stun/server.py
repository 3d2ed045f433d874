"""A STUN server's answers to Binding requests (RFC 8489 §6.3, §12). Pure.

It says to whoever asks at which address it sees them. Nothing else is answered: not indications, not responses, not
other methods, and not requests with a USERNAME, which are ICE checks that found no session (an answer would tell
strangers which exist). An answer is at most 80 bytes and a source gets few of them, so that forging a source address
gains nothing.
"""

from __future__ import annotations

from atmosphere.errors import DecodeError
from atmosphere.stun.limits import SourceLimiter
from atmosphere.stun.message import Class, Message, Method, binding_response, decode, encode, error_response

RATE = 20.0
BURST = 60.0
"""Requests a second of one source, and at once: many machines may share an address behind one NAT."""

SOFTWARE = "atmosphere"
_UNDERSTOOD_BUT_REFUSED = {"CHANGE-REQUEST": 0x0003, "PADDING": 0x0026, "RESPONSE-PORT": 0x0027}
_MAX_UNKNOWN = 8


class BindingServer:
    """Answers Binding requests; one object serves all of a program's sockets. `answered` and `refused` count."""

    def __init__(self, *, rate: float = RATE, burst: float = BURST, sources: int = 4096) -> None:
        self._limiter = SourceLimiter(rate=rate, burst=burst, size=sources)
        self.answered = 0
        self.refused = 0

    def receive(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        """The datagram to send back to `source`, or None. `now` is in monotonic seconds."""
        try:
            request = decode(data)
        except DecodeError:
            return None
        return self.answer(request, source, now)

    def answer(self, request: Message, source: tuple[str, int], now: float) -> bytes | None:
        """`receive` for a message that is decoded already."""
        if not _is_question(request):
            return None
        if not self._limiter.allow(source[0], now):
            self.refused += 1
            return None
        self.answered += 1
        refused = unsupported(request)
        if refused:
            response = error_response(request, 420, "Unknown Attribute", {"UNKNOWN-ATTRIBUTES": refused})
        else:
            response = binding_response(request, source)
            response.attributes["SOFTWARE"] = SOFTWARE
        response.add_fingerprint()
        return encode(response)


def _is_question(message: Message) -> bool:
    return (
        message.message_method is Method.BINDING
        and message.message_class is Class.REQUEST
        and "USERNAME" not in message.attributes
    )


def unsupported(request: Message) -> tuple[int, ...]:
    """The attribute types that are refused with 420: unknown ones, and those that need a second address or port.

    CHANGE-REQUEST without its flags asks for nothing and is fine (RFC 5780 §7.2).
    """
    refused = tuple(kind for name, kind in _UNDERSTOOD_BUT_REFUSED.items() if _asks(request, name))
    return (request.unknown + refused)[:_MAX_UNKNOWN]


def _asks(request: Message, name: str) -> bool:
    if name == "CHANGE-REQUEST":
        return bool(request.attributes.get(name, 0) & 0x6)
    return name in request.attributes
