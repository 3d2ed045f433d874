"""A STUN server's answers to Binding requests (RFC 8489 §6.3, §12). Pure.

It says to whoever asks at which address it sees them. Nothing else is answered: not indications, not responses, not
other methods, and not requests with a USERNAME, which are ICE checks that found no session (an answer would tell
strangers which exist). An answer is at most 80 bytes, a source gets few of them, and all sources together get only so
many, so that forging source addresses gains nothing. A server with a second address does more: see `stun.discovery`.
"""

from __future__ import annotations

from atmosphere.errors import DecodeError
from atmosphere.stun.limits import SourceLimiter
from atmosphere.stun.message import Class, Message, Method, binding_response, decode, encode, error_response

RATE = 20.0
BURST = 60.0
"""Requests a second of one source, and at once: many machines may share an address behind one NAT."""
TOTAL = 20_000.0
"""Answers a second to all sources together, and at once: 1.6 MB, however many sources somebody forges."""

SOFTWARE = "atmosphere"
CHANGE_IP, CHANGE_PORT = 0x4, 0x2
"""The flags of CHANGE-REQUEST (RFC 5780 §7.2)."""
_DISCOVERY = {"CHANGE-REQUEST": 0x0003, "PADDING": 0x0026, "RESPONSE-PORT": 0x0027}
_MAX_UNKNOWN = 8
_EVERYBODY = "everybody"

Address = tuple[str, int]


class BindingServer:
    """Answers Binding requests; one object serves all of a program's sockets. `answered` and `refused` count."""

    def __init__(self, *, rate: float = RATE, burst: float = BURST, sources: int = 4096, total: float = TOTAL) -> None:
        self._limiter = SourceLimiter(rate=rate, burst=burst, size=sources)
        self._total = SourceLimiter(rate=total, burst=total, size=1)
        self.answered = 0
        self.refused = 0

    def receive(self, data: bytes, source: Address, now: float) -> bytes | None:
        """The datagram to send back to `source`, or None. `now` is in monotonic seconds."""
        try:
            request = decode(data)
        except DecodeError:
            return None
        return self.answer(request, source, now)

    def answer(self, request: Message, source: Address, now: float) -> bytes | None:
        """`receive` for a message that is decoded already."""
        if not self.admits(request, source, now):
            return None
        if refused := unsupported(request):
            return encode(refusal(request, refused))
        response = binding_response(request, source)
        response.attributes["SOFTWARE"] = SOFTWARE
        response.add_fingerprint()
        return encode(response)

    def admits(self, request: Message, source: Address, now: float) -> bool:
        """Whether `request` gets an answer: a question, within its source's share and everybody's. Counts it."""
        if not _is_question(request):
            return False
        allowed = self._limiter.allow(source[0], now) and self._total.allow(_EVERYBODY, now)
        self.answered += allowed
        self.refused += not allowed
        return allowed


def _is_question(message: Message) -> bool:
    return (
        message.message_method is Method.BINDING
        and message.message_class is Class.REQUEST
        and "USERNAME" not in message.attributes
    )


def refusal(request: Message, kinds: tuple[int, ...]) -> Message:
    """The error 420 that names the attribute types which are not understood (RFC 8489 §6.3.1)."""
    response = error_response(request, 420, "Unknown Attribute", {"UNKNOWN-ATTRIBUTES": kinds})
    response.add_fingerprint()
    return response


def unsupported(request: Message, supported: frozenset[str] = frozenset()) -> tuple[int, ...]:
    """The attribute types that are refused with 420: unknown ones, and RFC 5780's unless they are in `supported`.

    CHANGE-REQUEST without its flags asks for nothing and is fine (RFC 5780 §7.2).
    """
    refused = tuple(kind for name, kind in _DISCOVERY.items() if name not in supported and _asks(request, name))
    return (request.unknown + refused)[:_MAX_UNKNOWN]


def _asks(request: Message, name: str) -> bool:
    if name == "CHANGE-REQUEST":
        return bool(request.attributes.get(name, 0) & (CHANGE_IP | CHANGE_PORT))
    return name in request.attributes
