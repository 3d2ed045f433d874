"""TURN over WebSocket, the server: path `/turn`, subprotocol `turn`; a binary frame is one or more whole messages.

ChannelData is padded to 4 bytes, as over TCP. A burst leaves in one frame, so that it stays a burst. What is none of
this closes the connection: a text frame with 1003, other bytes with 1007. 1008: too many connections, or one of no use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed

from atmosphere.errors import DecodeError
from atmosphere.turn.server.clients import Client, StreamClients
from atmosphere.turn.server.flow import Address, Transport
from atmosphere.turn.stream import pad, split
from signaling.routes import Route

SUBPROTOCOL = "turn"
PATH = "/turn"
MAX_FRAME = 131_072
"""Bytes of a frame, in both directions; the longest message has 65,555."""

UNSUPPORTED, INVALID, POLICY = 1003, 1007, 1008


class WebSocket(Protocol):
    """An open connection, as the signaling server's reception has it."""

    client: Address
    local: Address
    transport: Any

    async def recv(self) -> str | bytes:
        """The next frame; raises ConnectionClosed."""

    def write_bytes(self, frame: bytes) -> None:
        """Write a binary frame without waiting."""

    def end(self, code: int, reason: str) -> None:
        """Close without waiting."""


def turn_route(clients: StreamClients) -> Route:
    """Where a server's WebSockets lead to its relay."""

    async def handle(connection: WebSocket) -> None:
        await _serve(clients, connection)

    return Route(PATH.__eq__, handle, "a TURN server", MAX_FRAME, SUBPROTOCOL)


async def _serve(clients: StreamClients, connection: WebSocket) -> None:
    def write(messages: Sequence[bytes]) -> None:
        for frame in frames(messages):
            connection.write_bytes(frame)

    def cut(reason: str) -> None:
        connection.end(POLICY, reason)

    transport = connection.transport
    kind: Transport = "ws" if transport.get_extra_info("ssl_object") is None else "wss"
    waiting = transport.get_write_buffer_size
    client = clients.enter(kind, connection.client, connection.local, write, waiting, cut)
    if client is None:
        connection.end(POLICY, "too many connections")
        return
    try:
        while _receive(clients, client, connection, await connection.recv()):
            pass
    except ConnectionClosed:
        return
    finally:
        clients.leave(client)


def _receive(clients: StreamClients, client: Client, connection: WebSocket, frame: str | bytes) -> bool:
    """Give a frame's messages to the server; False when there are none in it, and the connection ends."""
    if isinstance(frame, str):
        clients.malformed(client)
        connection.end(UNSUPPORTED, "messages are binary")
        return False
    try:
        messages = split(frame)
    except DecodeError as error:
        clients.malformed(client)
        connection.end(INVALID, str(error))
        return False
    clients.service.receive(client.flow, messages)
    return True


def frames(messages: Sequence[bytes]) -> Iterator[bytes]:
    """The messages, padded, in as few frames as they fit into."""
    parts: list[bytes] = []
    size = 0
    for message in messages:
        part = pad(message)
        if parts and size + len(part) > MAX_FRAME:
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield b"".join(parts)
