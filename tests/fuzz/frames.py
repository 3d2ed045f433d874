"""WebSocket frames and HTTP requests for a signaling server, good and bad, written by hand over TCP."""

from __future__ import annotations

import asyncio
import json
import random
import struct
from typing import Any

from signaling import KeySigner, id_of
from signaling.auth import Signer, prove
from signaling.messages import encode
from tests.fuzz.mutate import Mutator

PATIENCE = 20.0
TEXT, BINARY, PING, PONG, CLOSE = 0x1, 0x2, 0x9, 0xA, 0x8
FIELDS = {
    "send": ("to", "payload", "id", "ttl"),
    "publish": ("topic", "payload", "id"),
    "subscribe": ("topic",),
    "unsubscribe": ("topic",),
    "watch": ("ids",),
    "hello": ("key", "signature"),
}
"""What belongs to each message of a client (signaling/messages.py)."""


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True) -> bytes:
    """A client's frame (RFC 6455 §5.2), masked with zeros."""
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        return head + bytes([0x80 | len(payload), 0, 0, 0, 0]) + payload
    return head + b"\xfe" + struct.pack("!H", len(payload)) + bytes(4) + payload


class RawSocket:
    """A WebSocket without a library: what it writes need not be one. What comes back is thrown away."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, signer: Signer) -> None:
        self._reader = reader
        self.writer = writer
        self.signer = signer
        self.id = id_of(signer.public_key)

    @classmethod
    async def open(cls, port: int, signer: Signer | None = None, *, proved: bool = True) -> RawSocket | None:
        """Upgraded and, if `proved`, welcome; None when the server does not want us now."""
        try:
            raw = cls(*await asyncio.open_connection("127.0.0.1", port), signer or KeySigner())
            raw.writer.write(upgrade(port))
            async with asyncio.timeout(PATIENCE):
                if b" 101 " not in await raw._reader.readuntil(b"\r\n\r\n"):
                    raw.writer.transport.abort()
                    return None
                if proved:
                    challenge = json.loads(await raw._frame())
                    raw.writer.write(frame(encode(prove(raw.signer, f"127.0.0.1:{port}", challenge["nonce"]))))
                    await raw._frame()
        except (OSError, asyncio.IncompleteReadError):
            return None
        return raw

    async def _frame(self) -> bytes:
        _, length = await self._reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self._reader.readexactly(2))
        return await self._reader.readexactly(length)

    async def swallow(self) -> None:
        """Read to the end."""
        try:
            while await self._reader.read(65536):
                pass
        except OSError:
            return

    def end(self) -> None:
        self.writer.transport.abort()


def upgrade(port: int) -> bytes:
    return (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


class FrameMutator:
    """Makes the text of frames, and bytes that are no frames."""

    def __init__(self, seed: int, ids: list[str]) -> None:
        self.chance = random.Random(seed)
        self._bytes = Mutator(seed)
        self._ids = ids

    def text(self) -> bytes:
        """Valid UTF-8: a message, a message with something wrong in it, or no message."""
        match self.chance.randrange(8):
            case 0:
                return self.chance.randbytes(self.chance.randrange(100)).decode("latin-1").encode()
            case 1:
                return b"[" * 5000 if self.chance.random() < 0.05 else b'{"a":' * 50 + b"1" + b"}" * 50
            case 2 | 3:
                return self._bytes.change(self._message()).decode(errors="replace").encode()
            case _:
                return self._message()

    def _message(self) -> bytes:
        """Right more often than not: what is wrong gets no further than the decoder."""
        chance, ref = self.chance, self.chance.randrange(2**16)
        message: dict[str, Any] = {"type": chance.choice(list(FIELDS)), "ref": ref}
        message |= {name: self._field(name) for name in FIELDS[message["type"]]}
        if chance.random() < 0.3:
            name = chance.choice((*message, "unknown"))
            message[name] = chance.choice((None, True, [], {}, "x" * 100, -1, 2**64, 0.5, 1e308, "\ud7ff", "\0"))
        return json.dumps(message).encode()

    def _field(self, name: str) -> Any:
        chance = self.chance
        match name:
            case "to":
                return self._id()
            case "ids":
                return [self._id() for _ in range(chance.randrange(6))]
            case "ttl":
                return chance.choice((0, 1, 120))
            case "payload":
                return chance.choice(("", "AAAA", "AAAA" * 200, "AAAA" * 3000))
            case "id" | "topic":
                return chance.choice(("a", f"word {chance.randrange(10**6)}", "x" * 64))
            case _:
                return "AAAA"

    def _id(self) -> str:
        return self.chance.choice((*self._ids, "".join(self.chance.choices("abcdefgh234567", k=52))))

    def broken(self) -> bytes:
        """Bytes on an upgraded connection that no client would write."""
        chance = self.chance
        match chance.randrange(7):
            case 0:
                return chance.randbytes(chance.randrange(1, 300))
            case 1:
                return frame(chance.randbytes(chance.randrange(200)), chance.randrange(16), final=chance.random() < 0.5)
            case 2:
                return frame(self.text(), chance.choice((PING, PONG, CLOSE, BINARY)))
            case 3:
                return b"\x81\xff" + struct.pack("!Q", chance.randrange(2**63)) + bytes(4) + chance.randbytes(50)
            case 4:
                return frame(b"x" * 17_000)
            case 5:
                return b"".join(
                    frame(b"part", 0 if part else TEXT, final=False) for part in range(chance.randrange(50))
                )
            case _:
                return self._bytes.change(frame(self.text()))

    def http(self, port: int) -> bytes:
        """A request that is nearly one, or nothing like it."""
        chance = self.chance
        path = chance.choice(("/", "/health", "/stats", "/metrics", "/../../etc/passwd", "/" + "x" * 9000, "/%00", "*"))
        method, version = chance.choice(("GET", "POST", "PRI", "get", "")), chance.choice(("1.1", "1.0", "2", "x"))
        head = f"{method} {path} HTTP/{version}\r\n"
        match chance.randrange(6):
            case 0:
                return chance.randbytes(chance.randrange(2000))
            case 1:
                return self._bytes.change(upgrade(port))
            case 2:
                return head.encode() + b"A: b\r\n" * chance.randrange(300) + b"\r\n"
            case 3:
                return head.encode() + b"Content-Length: 99999999\r\n\r\n" + chance.randbytes(500)
            case 4:
                return upgrade(port)[: chance.randrange(200)]
            case _:
                return head.encode() + b"Host: x\r\n\r\n"
