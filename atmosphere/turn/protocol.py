"""aioice's TURN client, hardened: total decoding, a bounded stream, a refresh that a strange LIFETIME cannot wind up.

What aioice does well stays its own: the long-term credentials, Allocate, ChannelBind, Refresh and their retransmission.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any, Protocol

from atmosphere.errors import DecodeError
from atmosphere.stun.library import TurnClientMixin, stun
from atmosphere.stun.message import Class, Message, Method, decode, mapped_address
from atmosphere.turn.channels import HEADER
from atmosphere.turn.stream import MAX_MESSAGE, Deframer, pad
from atmosphere.turn.udp import UdpTransport

logger = logging.getLogger(__name__)

LIFETIME = 600
SHORTEST_LIFETIME, LONGEST_LIFETIME = 30, 3600
MAX_WRITE_BUFFER = 262_144
"""Bytes waiting in a TCP connection to the server; beyond it datagrams are dropped, as in a router's full queue."""

Address = tuple[str, int]


class Receiver(Protocol):
    """What the owner of a connection to a TURN server is told."""

    def channel_data(self, number: int, payload: bytes) -> None:
        """Data came on a channel."""

    def channel_burst(self, number: int, data: bytes, segment: int) -> None:
        """Datagrams end to end, `segment` bytes each but the last, came on a channel."""

    def indication(self, source: Address, payload: bytes) -> None:
        """Data came in a Data indication."""

    def trouble(self, error: Exception) -> None:
        """The operating system reports an error that may pass (ICMP unreachable)."""

    def connection_lost(self, error: Exception | None) -> None:
        """The connection or the allocation is gone."""


class TurnProtocol(TurnClientMixin):  # type: ignore[misc, unused-ignore]
    """One connection to a TURN server; `owner` gets what comes in."""

    def __init__(
        self, owner: Receiver, server: Address, username: str | None, password: str | None, family: int | None
    ) -> None:
        super().__init__(server, username, password, lifetime=LIFETIME, channel_refresh_time=LIFETIME)
        self._owner = owner
        self._family = family

    async def request_with_retry(self, request: stun.Message) -> tuple[stun.Message, Address]:
        """The response to `request`; on an Allocate with a chosen family, asks for that one (RFC 8656 §18.6)."""
        if request.message_method == Method.ALLOCATE and self._family is not None:
            request.attributes["REQUESTED-ADDRESS-FAMILY"] = 0x01000000 if self._family == 4 else 0x02000000
        return await super().request_with_retry(request)

    async def ping(self) -> Address | None:
        """Our address as the server sees it, by an unauthenticated Binding request; raises TransactionError.

        aioice would sign it and then wait for a signed answer, which no server gives.
        """
        request = Message(Method.BINDING, Class.REQUEST)
        transaction = stun.Transaction(request, self.server, self, retransmissions=2)
        self.transactions[request.transaction_id] = transaction
        try:
            response, _ = await transaction.run()
            return mapped_address(response)
        finally:
            del self.transactions[request.transaction_id]

    async def refresh(self, time_to_expiry: int) -> None:
        """Renew the allocation until it is refused, then close the connection."""
        while True:
            lifetime = min(max(time_to_expiry, SHORTEST_LIFETIME), LONGEST_LIFETIME)
            await asyncio.sleep(lifetime * 5 / 6)
            try:
                time_to_expiry = await self.renew()
            except (ConnectionError, stun.TransactionError) as error:
                logger.info("TURN server %s: the allocation was not refreshed: %s", self.server[0], error)
                self.transport.close()
                return

    async def renew(self) -> int:
        """Refresh the allocation now; its new lifetime in seconds."""
        request = Message(Method.REFRESH, Class.REQUEST, attributes={"LIFETIME": LIFETIME})
        response, _ = await self.request_with_retry(request)
        if "LIFETIME" not in response.attributes:
            raise ConnectionError("TURN refresh response is missing LIFETIME")
        return int(response.attributes["LIFETIME"])

    async def permit(self, host: str) -> None:
        """Let in what comes from that address, whatever its port, for five minutes (RFC 8656 §9); raises
        TransactionError."""
        request = Message(Method.CREATE_PERMISSION, Class.REQUEST, attributes={"XOR-PEER-ADDRESS": (host, 0)})
        await self.request_with_retry(request)

    def stop_refreshing(self) -> None:
        """End the refresh that aioice started with the allocation."""
        if self.refresh_task is not None:
            self.refresh_task.cancel()
            self.refresh_task = None

    def datagram_received(self, data: bytes | str, addr: Address) -> None:
        """One message from the server."""
        if isinstance(data, str) or len(data) < 4:
            return
        if data[0] >> 6 == 1:
            number, length = struct.unpack_from("!HH", data)
            if len(data) >= 4 + length:
                self._owner.channel_data(number, data[4 : 4 + length])
            return
        try:
            message = decode(data, max_size=MAX_MESSAGE)
        except DecodeError as error:
            logger.debug("TURN server %s: %s", self.server[0], error)
        else:
            self._message(message, addr)

    def _message(self, message: Message, addr: Address) -> None:
        if message.message_class in (Class.RESPONSE, Class.ERROR):
            transaction = self.transactions.get(message.transaction_id)
            if transaction is not None:
                transaction.response_received(message, addr)
        elif message.message_class == Class.INDICATION and message.message_method == Method.DATA:
            source, payload = message.attributes.get("XOR-PEER-ADDRESS"), message.attributes.get("DATA")
            if source is not None and payload is not None:
                self._owner.indication(source, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed; whatever still waits for an answer is given up by its own time limit."""
        self.stop_refreshing()
        self._owner.connection_lost(exc)


def is_one_channel(data: bytes, segment: int) -> bool:
    """Whether each datagram of a burst is whole ChannelData, all of one channel, each with a length of its own."""
    count, last = divmod(len(data), segment)
    whole = data[: count * segment]
    head = data[:2] + (segment - 4).to_bytes(2)
    return (
        data[0] >> 6 == 1
        and all(whole[place::segment] == head[place : place + 1] * count for place in range(4))
        and (not last or (last > 4 and data[-last : 4 - last] == head[:2] + (last - 4).to_bytes(2)))
    )


class UdpTurnProtocol(TurnProtocol, asyncio.DatagramProtocol):
    """TURN over UDP."""

    transport: UdpTransport | asyncio.DatagramTransport  # type: ignore[assignment, unused-ignore]

    def burst_received(self, data: bytes, segment: int) -> None:
        """Datagrams of one size from the server: ChannelData of one channel stays together."""
        if 4 < segment < len(data) and is_one_channel(data, segment):
            payloads = b"".join([data[place + 4 : place + segment] for place in range(0, len(data), segment)])
            self._owner.channel_burst(int.from_bytes(data[:2]), payloads, segment - 4)
            return
        for place in range(0, len(data), segment or 1):
            self.datagram_received(data[place : place + segment], self.server)

    def put_burst(self, number: int, data: bytes, segment: int, count: int) -> int:
        """Send `count` datagrams end to end on a channel; how many are done with: the rest may pass later."""
        head, rest = HEADER.pack(number, segment), len(data) % segment
        pieces = [head + data[place : place + segment] for place in range(0, len(data) - rest, segment)]
        if rest:
            pieces.append(HEADER.pack(number, rest) + data[-rest:])
        if isinstance(self.transport, UdpTransport):
            return self.transport.send_burst(b"".join(pieces), segment + 4, count)
        for piece in pieces:
            self._send(piece)
        return count

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once there is room for what `put_burst` did not take."""
        if isinstance(self.transport, UdpTransport):
            self.transport.when_writable(callback)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error, such as port unreachable."""
        self._owner.trouble(exc)

    def _send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(data)

    def put(self, frame: bytes) -> bool:
        """Send ChannelData; False when it was dropped."""
        self._send(frame)
        return True


class StreamTurnProtocol(TurnProtocol, asyncio.Protocol):
    """TURN over TCP or TLS."""

    transport: asyncio.Transport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deframer = Deframer()

    def data_received(self, data: bytes) -> None:
        """Bytes of the stream; one that makes no sense ends the connection."""
        try:
            messages = self._deframer.feed(data)
        except DecodeError as error:
            logger.info("TURN server %s: %s", self.server[0], error)
            self.transport.abort()
            return
        for message in messages:
            self.datagram_received(message, self.server)

    def _send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(pad(data))

    def put(self, frame: bytes) -> bool:
        """Send ChannelData; False when it was dropped because the connection is full."""
        if self.transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            return False
        self._send(frame)
        return True
