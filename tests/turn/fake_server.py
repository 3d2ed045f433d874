"""A TURN server that misbehaves on request: over UDP, on loopback, relaying to itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.stun.library import make_integrity_key
from atmosphere.stun.message import Class, Message, Method, decode, encode, error_response
from atmosphere.udp.socket import UdpSocket

USER, PASSWORD, REALM = "anna", "secret", "tests"
KEY = make_integrity_key(USER, REALM, PASSWORD)


USERS = (USER, "invite")
"""They all have one password."""


def key_of(request: Message) -> bytes:
    """The key of the user who asks; of the first where it is nobody's."""
    name = request.attributes.get("USERNAME", USER)
    return make_integrity_key(name if name in USERS else USER, REALM, PASSWORD)


RELAYED = ("192.0.2.9", 50000)

Address = tuple[str, int]


class FakeTurnServer:
    """Answers unless its method is in `silent`, with the error in `refused` where there is one; counts requests.

    `sees` is what it answers to Binding requests, instead of the truth."""

    def __init__(self, *, lifetime: int = 600) -> None:
        self.socket = UdpSocket.bind("127.0.0.1")
        self.socket.on_datagram = self._received
        self.address = ("127.0.0.1", self.socket.port)
        self.lifetime = lifetime
        self.silent: set[Method] = set()
        self.refused: dict[Method, int] = {}
        self.requests: Counter[Method] = Counter()
        self.channels: dict[int, Address] = {}
        self.data: list[tuple[int, bytes]] = []
        self.client: Address | None = None
        self.sees: Address | None = None
        self.attributes: dict[str, Any] = {}

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> FakeTurnServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        assert self.client is not None
        self.socket.send(data, self.client)

    def indicate(self, peer: Address, data: bytes) -> None:
        message = Message(Method.DATA, Class.INDICATION, attributes={"XOR-PEER-ADDRESS": peer, "DATA": data})
        self.send(encode(message))

    def _received(self, data: bytes, source: Address) -> None:
        self.client = source
        if data[0] & 0xC0 == 0x40:
            length = int.from_bytes(data[2:4])
            self.data.append((int.from_bytes(data[:2]), data[4 : 4 + length]))
            self.socket.send(data, source)  # the peer echoes
            return
        try:
            request = decode(data)
        except DecodeError:
            return
        self.requests[request.message_method] += 1
        if request.message_method not in self.silent:
            self.socket.send(encode(self._answer(request)), source)

    def _answer(self, request: Message) -> Message:
        method = request.message_method
        if method == Method.BINDING:
            return Message(
                method, Class.RESPONSE, request.transaction_id, {"XOR-MAPPED-ADDRESS": self.sees or self.client}
            )
        if not request.check_message_integrity(key_of(request)):
            return error_response(request, 401, "Unauthorized", {"REALM": REALM, "NONCE": b"nonce"})
        if method in self.refused:
            response = error_response(request, self.refused[method], "Because")
        else:
            attributes: dict[str, Any] = {"LIFETIME": self.lifetime}
            if method == Method.ALLOCATE:
                self.attributes = dict(request.attributes)
                attributes |= {"XOR-RELAYED-ADDRESS": RELAYED, "XOR-MAPPED-ADDRESS": self.client}
            elif method == Method.CHANNEL_BIND:
                self.channels[request.attributes["CHANNEL-NUMBER"]] = request.attributes["XOR-PEER-ADDRESS"]
            response = Message(method, Class.RESPONSE, request.transaction_id, attributes)
        response.add_message_integrity(key_of(request))
        return response
