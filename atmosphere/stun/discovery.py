"""A STUN server of two addresses and two ports, which clients learn their NAT's behaviour from (RFC 5780). Pure.

    its four sockets        port 0       port 1          a corner is (which address, which port)
    address 0               (0, 0)       (0, 1)
    address 1               (1, 0)       (1, 1)

An answer says where it comes from (RESPONSE-ORIGIN) and which corner is opposite to the one that was asked
(OTHER-ADDRESS). CHANGE-REQUEST moves it to a neighbouring or to the opposite corner: whether it arrives tells the
client what its NAT filters. PADDING is answered with PADDING, but never with a longer message than the request, so
that forging a source address gains nothing by it. Every answer goes to the address that the question came from, one
for one; RESPONSE-PORT changes its port and no more, which who forges an address could have forged as well.
"""

from __future__ import annotations

from typing import NamedTuple

from atmosphere.errors import DecodeError
from atmosphere.stun.message import Message, binding_response, decode, encode, error_response
from atmosphere.stun.server import CHANGE_IP, CHANGE_PORT, BindingServer, refusal, unsupported

Address = tuple[str, int]
Corner = tuple[int, int]

_SUPPORTED = frozenset({"CHANGE-REQUEST", "PADDING", "RESPONSE-PORT"})
_HEADERS = 20 + 4
"""Bytes of a request's header and of PADDING's: what it has at the least besides the padding itself."""


class Reply(NamedTuple):
    """What to send, from which corner, and where to: the address of who asked."""

    datagram: bytes
    corner: Corner
    destination: Address


class DiscoveryServer:
    """Answers Binding requests of `addresses` × `ports`, written as clients see them (not as a 1:1 NAT's inside).

    `binding` holds the limits and counters, shared with whatever else the program answers. Raises ValueError where the
    two addresses are of different families or the same, or the two ports are.
    """

    def __init__(
        self, addresses: tuple[str, str], ports: tuple[int, int], binding: BindingServer | None = None
    ) -> None:
        if addresses[0] == addresses[1] or ports[0] == ports[1]:
            raise ValueError("discovery needs two addresses and two ports")
        if (":" in addresses[0]) != (":" in addresses[1]):
            raise ValueError("discovery needs two addresses of one family")
        self.addresses = addresses
        self.ports = ports
        self.binding = binding or BindingServer()

    def address(self, corner: Corner) -> Address:
        """Where clients see a corner."""
        return (self.addresses[corner[0]], self.ports[corner[1]])

    def receive(self, data: bytes, source: Address, at: Corner, now: float) -> Reply | None:
        """What to answer to a datagram from `source` that came in `at` a corner; None for nothing."""
        try:
            request = decode(data)
        except DecodeError:
            return None
        return self.answer(request, source, at, now)

    def answer(self, request: Message, source: Address, at: Corner, now: float) -> Reply | None:
        """`receive` for a message that is decoded already."""
        if not self.binding.admits(request, source, now):
            return None
        if refused := unsupported(request, _SUPPORTED):
            return Reply(encode(refusal(request, refused)), at, source)
        port = request.attributes.get("RESPONSE-PORT", source[1])
        if port == 0 or {"RESPONSE-PORT", "PADDING"} <= request.attributes.keys():
            response = error_response(request, 400, "Bad Request")
            response.add_fingerprint()
            return Reply(encode(response), at, source)
        origin = changed(at, request.attributes.get("CHANGE-REQUEST", 0))
        return Reply(encode(self._response(request, source, at, origin)), origin, (source[0], port))

    def _response(self, request: Message, source: Address, at: Corner, origin: Corner) -> Message:
        response = binding_response(request, source)
        response.attributes["RESPONSE-ORIGIN"] = self.address(origin)
        response.attributes["OTHER-ADDRESS"] = self.address(changed(at, CHANGE_IP | CHANGE_PORT))
        padding = request.attributes.get("PADDING")
        if padding is not None:
            _pad(response, len(padding))
        response.add_fingerprint()
        return response


def changed(corner: Corner, change: int) -> Corner:
    """The corner to answer from, for one that was asked and the value of CHANGE-REQUEST (RFC 5780 §6.1, table 1)."""
    return corner[0] ^ bool(change & CHANGE_IP), corner[1] ^ bool(change & CHANGE_PORT)


def _pad(response: Message, asked: int) -> None:
    """Add PADDING, so that `response` with FINGERPRINT is no longer than a request with `asked` bytes of it."""
    response.attributes["PADDING"] = b""
    response.add_fingerprint()
    room = _HEADERS + asked - len(encode(response))
    del response.attributes["FINGERPRINT"]
    response.attributes["PADDING"] = bytes(max(0, room // 4 * 4))
