"""TURN over TCP and TLS (RFC 8656 §3.1, RFC 8489 §6.2.2): a stream of messages, ChannelData padded to 4 bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from atmosphere.errors import DecodeError
from atmosphere.turn.server.clients import Client, StreamClients
from atmosphere.turn.server.flow import Address, Transport
from atmosphere.turn.stream import Deframer, pad


class TurnStream(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, clients: StreamClients, kind: Transport, client: Address, local: Address) -> None:
        self._clients = clients
        self._kind: Transport = kind
        self._ends = (client, local)
        self._deframer = Deframer()
        self._client: Client | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open its flow (asyncio.Protocol)."""
        self._transport = made = cast("asyncio.Transport", transport)
        self._client = self._clients.enter(self._kind, *self._ends, self._write, made.get_write_buffer_size, self._cut)
        if self._client is None:
            made.abort()

    def data_received(self, data: bytes) -> None:
        """Give whole messages to the server; a stream that is none is cut (asyncio.Protocol)."""
        client = self._client
        if client is None:
            return
        try:
            messages = self._deframer.feed(data)
        except DecodeError:
            self._clients.malformed(client)
            self._cut("not TURN")
            return
        self._clients.service.receive(client.flow, messages)

    def connection_lost(self, exc: Exception | None) -> None:
        """Close its flow (asyncio.Protocol)."""
        client, self._client = self._client, None
        if client is not None:
            self._clients.leave(client)

    def _write(self, messages: Sequence[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join([pad(message) for message in messages]))

    def _cut(self, reason: str) -> None:
        if self._transport is not None:
            self._transport.abort()
