"""A small MQTT broker in this process (5.0 and 3.1.1, QoS 0 and 1), which can also misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = (
    1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14
)  # fmt: skip


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    """The fixed header and the rest."""
    length, size = bytearray(), len(body)
    while True:
        size, low = size >> 7, size & 0x7F
        length.append(low | (0x80 if size else 0))
        if not size:
            return bytes((kind << 4 | flags,)) + bytes(length) + body


def text(value: str) -> bytes:
    return struct.pack("!H", len(value)) + value.encode()


@dataclass(eq=False)
class Connection:
    """A client, as the broker sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    level: int = 5
    topics: set[str] = field(default_factory=set)

    @property
    def v5(self) -> bool:
        return self.level == 5

    async def read(self) -> tuple[int, int, bytes]:
        first, length, shift = (await self.reader.readexactly(1))[0], 0, 0
        while True:
            byte = (await self.reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return first >> 4, first & 0x0F, await self.reader.readexactly(length)


@dataclass
class Published:
    """What a client published."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass
class FakeBroker:
    """What it does is set by its fields; what it saw is in the others."""

    port: int = 0
    levels: tuple[int, ...] = (5, 4)
    silent: bool = False
    """Answers no CONNECT."""
    hang_up: bool = False
    """Closes the connection at once."""
    connack: int = 0
    suback: int | None = None
    forbids: Callable[[str], bool] = lambda _: False
    """The topics that nobody may subscribe to."""
    mute: bool = False
    """Takes messages and subscriptions, and answers none, nor whether it is still there."""
    tells_offline: bool = True
    slow: bool = False
    """Takes subscriptions, and does not say so."""
    connections: list[Connection] = field(default_factory=list)
    connected: int = 0
    published: list[Published] = field(default_factory=list)
    connects: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def topics(self) -> set[str]:
        """Everything that is subscribed to now."""
        return set().union(*(one.topics for one in self.connections))

    def push(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Hand a message to all who subscribed; how many."""
        receivers = [one for one in self.connections if topic in one.topics]
        for one in receivers:
            body = text(topic) + (b"\0" if one.v5 else b"") + payload
            one.writer.write(packet(PUBLISH, body, 1 if retain else 0))
        return len(receivers)

    def raw(self, data: bytes) -> None:
        """Say anything to everybody."""
        for one in self.connections:
            one.writer.write(data)

    def drop(self) -> None:
        """Break every connection."""
        for one in list(self.connections):
            one.writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one = Connection(reader, writer)
        self.connections.append(one)
        self.connected += 1
        try:
            while True:
                kind, flags, body = await one.read()
                if not self._take(one, kind, flags, body):
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.remove(one)
            writer.transport.abort()

    def _take(self, one: Connection, kind: int, flags: int, body: bytes) -> bool:
        if kind == CONNECT:
            return self._connect(one, body)
        if kind == PUBLISH:
            self._publish(one, flags, body)
        elif kind in (SUBSCRIBE, UNSUBSCRIBE) and not self.mute:
            self._subscribe(one, kind, body)
        elif kind == PINGREQ and not self.mute:
            one.writer.write(packet(PINGRESP, b""))
        return kind != DISCONNECT

    def _connect(self, one: Connection, body: bytes) -> bool:
        self.connects.append(body)
        one.level = body[6]
        if self.hang_up or self.silent:
            return self.silent
        code = self.connack if one.level in self.levels else 1
        v5 = one.v5 and one.level in self.levels
        one.writer.write(packet(CONNACK, bytes((0, code)) + (b"\0" if v5 else b"")))
        return code == 0

    def _publish(self, one: Connection, flags: int, body: bytes) -> None:
        (size,) = struct.unpack_from("!H", body)
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        qos = flags >> 1 & 3
        name, rest = (rest[:2], rest[2:]) if qos else (b"", rest)
        payload = rest[1 + rest[0] :] if one.v5 else rest
        self.published.append(Published(topic, payload, qos, bool(flags & 1)))
        receivers = self.push(topic, payload)
        if qos and not self.mute:
            offline = one.v5 and not receivers and self.tells_offline
            one.writer.write(packet(PUBACK, name + (b"\x10" if offline else b"")))

    def _subscribe(self, one: Connection, kind: int, body: bytes) -> None:
        name, rest = body[:2], body[2 + (1 + body[2] if one.v5 else 0) :]
        codes = bytearray()
        while rest:
            (size,) = struct.unpack_from("!H", rest)
            topic, rest = rest[2 : 2 + size].decode(), rest[2 + size + (kind == SUBSCRIBE) :]
            code = 0x80 if kind == SUBSCRIBE and self.forbids(topic) else self.suback or 0
            (one.topics.add if kind == SUBSCRIBE and not code else one.topics.discard)(topic)
            codes.append(code)
        properties = b"\0" if one.v5 else b""
        if kind == SUBSCRIBE and not self.slow:
            one.writer.write(packet(SUBACK, name + properties + codes))
        elif kind == UNSUBSCRIBE:
            one.writer.write(packet(UNSUBACK, name + properties + (codes if one.v5 else b"")))


@contextlib.asynccontextmanager
async def serving(broker: FakeBroker | None = None) -> AsyncIterator[FakeBroker]:
    """A broker on loopback; on the same port again when it had one."""
    broker = broker or FakeBroker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", broker.port)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        broker.drop()
        await server.wait_closed()
        while broker.connections:  # noqa: ASYNC110 (their tasks see the end by themselves)
            await asyncio.sleep(0)
