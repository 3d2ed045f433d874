"""Thousands of nodes in one process: as little of a client as the protocol allows, counting what it is sent.

Each node signs its own hello, says `got`, knows a message that comes twice, repeats what has no answer, and connects to
another server when its own is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from signaling import KeySigner, id_of
from signaling.auth import prove
from signaling.backoff import Backoff
from signaling.messages import Got, Send, encode

NODES_PER_ADDRESS = 200
AT_ONCE = 100
"""Handshakes under way."""

PAYLOAD = "QUJD" * 32
OPEN_TIMEOUT = 8.0


class Told(msgspec.Struct, omit_defaults=True):
    """Any message of a server, as far as it matters here."""

    type: str
    ref: int | None = None
    id: str = ""
    seq: int | None = None
    nonce: str = ""
    code: str = ""


_decode = msgspec.json.Decoder(Told).decode


class Link(asyncio.Protocol):
    """One connection of a node."""

    __slots__ = ("_buffer", "_host", "_node", "transport", "welcome")

    def __init__(self, node: Node, host: str) -> None:
        self._node = node
        self._host = host
        self._buffer = b""
        self.transport: Any = None
        self.welcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether the server takes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        lines = (
            f"GET / HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.transport.write(lines.encode())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.welcome.done():
            self.welcome.set_result(False)
        else:
            self._node.lost(self)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data
        if buffer.startswith(b"HTTP/"):
            head, end, buffer = buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head:
                self.transport.abort()
                return
        at, size = 0, len(buffer)
        last_seq = 0
        while size - at >= 2:
            length, body = buffer[at + 1], at + 2
            if length == 126:
                length, body = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            if size < body + length:
                break
            last_seq = self._take(buffer[at] & 15, buffer[body : body + length]) or last_seq
            at = body + length
        self._buffer = buffer[at:]
        if last_seq:
            self.write(encode(Got(last_seq)))

    def write(self, payload: bytes, opcode: int = 1) -> None:
        """One frame under the mask 0, which changes nothing."""
        size = len(payload)
        head = bytes((128 | opcode, 128 | size)) if size < 126 else bytes((128 | opcode, 254)) + size.to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + payload)

    def _take(self, opcode: int, payload: bytes) -> int | None:
        if opcode == 9:
            self.write(payload, 10)
        elif opcode == 8:
            self.transport.close()
        if opcode != 1:
            return None
        told = _decode(payload)
        if told.type == "challenge":
            self.write(encode(prove(self._node.signer, self._host, told.nonce, got=True)))
        elif told.type == "welcome":
            if not self.welcome.done():
                self.welcome.set_result(True)
                self._node.welcome(self)
        else:
            self._node.take(told)
        return told.seq


class Node:
    """One node; its connections come and go."""

    __slots__ = ("_crowd", "_link", "_seen", "_unanswered", "id", "number", "signer")

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self.number = number
        self.signer = KeySigner()
        self.id = id_of(self.signer.public_key)
        self._link: Link | None = None
        self._seen: set[str] = set()
        self._unanswered: dict[int, bytes] = {}

    async def connect(self, port: int) -> bool:
        """Whether it is welcome there."""
        address = f"127.1.{self.number // NODES_PER_ADDRESS // 250}.{self.number // NODES_PER_ADDRESS % 250 + 1}"
        link = Link(self, f"127.0.0.1:{port}")
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: link, "127.0.0.1", port, local_addr=(address, 0))
                return await link.welcome
        except (OSError, TimeoutError):
            if link.transport is not None:
                link.transport.abort()
            return False

    def welcome(self, link: Link) -> None:
        """Whatever has no answer is said again."""
        self._link = link
        for frame in self._unanswered.values():
            link.write(frame)

    def lost(self, link: Link) -> None:
        """A connection has ended."""
        if self._link is link:
            self._link = None
            self._crowd.lost(self)

    def leave(self) -> None:
        """End the connection."""
        if self._link is not None:
            self._link.transport.abort()

    def take(self, told: Told) -> None:
        """What a server says after its welcome."""
        match told.type:
            case "message":
                self._crowd.arrived(told.id, again=told.id in self._seen)
                self._seen.add(told.id)
            case "delivered" | "queued" if told.ref is not None:
                self._unanswered.pop(told.ref, None)
                self._crowd.answered(told.ref, told.type)
            case "error":
                self._crowd.refused(told)

    def send(self, to: str, ref: int) -> None:
        """Send the message whose number is `ref`."""
        frame = encode(Send(to, PAYLOAD, str(ref), ref, 120.0))
        self._unanswered[ref] = frame
        if self._link is not None:
            self._link.write(frame)


@dataclass
class Tally:
    """What became of messages; `latencies` in seconds, from sending to the first arrival."""

    sent_at: dict[int, float] = field(default_factory=dict)
    latencies: dict[int, float] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    answered: set[int] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    again: int = 0
    """How often a node was sent what it had; it passes that on to nobody."""

    @property
    def missing(self) -> int:
        """Messages that were acknowledged and did not arrive."""
        return len(self.answered - self.latencies.keys())

    def percentile(self, percent: float) -> float:
        """Milliseconds that so many of a hundred messages took at most."""
        ordered = sorted(self.latencies.values())
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class Crowd:
    """Nodes on the servers at `ports`; those whose server goes choose another."""

    def __init__(self, ports: list[int], seed: int = 1) -> None:
        self.ports = list(ports)
        self.tally = Tally()
        self.nodes: list[Node] = []
        self.moves: list[float] = []
        """Seconds that each move from a dead server to another took."""

        self.moving = 0

        self._random = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def connect(self, count: int) -> None:
        """So many more nodes, spread over the servers."""
        waiting = [Node(self, len(self.nodes) + number) for number in range(count)]
        self.nodes += waiting

        async def some() -> None:
            while waiting:
                node = waiting.pop()
                while not await node.connect(self.ports[node.number % len(self.ports)]):  # noqa: ASYNC110
                    await asyncio.sleep(self._random.uniform(0.25, 0.5))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, count)):
                group.create_task(some())

    async def exchange(self, messages: int, rate: float, *, wait: float = 60.0) -> Tally:
        """Send so many messages between random pairs, `rate` a second; return when all are there, or after `wait`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(messages):
            if number % 20 == 0:
                await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
            sender, receiver = self._random.choice(self.nodes), self._random.choice(self.nodes)
            self.tally.sent_at[number] = loop.time()
            sender.send(receiver.id, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while min(len(self.tally.latencies), len(self.tally.answered)) < messages:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        return self.tally

    async def settled(self, wait: float = 60.0) -> None:
        """Return when nobody is on the move any more, or after `wait` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while self.moving:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    def close(self) -> None:
        """Break all connections."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        for node in self.nodes:
            node.leave()

    # What nodes tell

    def arrived(self, name: str, *, again: bool) -> None:
        number = int(name)
        self.tally.again += again
        self.tally.latencies.setdefault(number, asyncio.get_running_loop().time() - self.tally.sent_at[number])

    def answered(self, ref: int, kind: str) -> None:
        self.tally.answers[kind] += ref not in self.tally.answered
        self.tally.answered.add(ref)

    def refused(self, told: Told) -> None:
        self.tally.refused[told.code] += 1

    def lost(self, node: Node) -> None:
        if not self._closing:
            task = asyncio.get_running_loop().create_task(self._move(node))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _move(self, node: Node) -> None:
        began = asyncio.get_running_loop().time()
        backoff = Backoff(draw=self._random.random)
        self.moving += 1
        await asyncio.sleep(backoff.next())
        while not await node.connect(self._random.choice(self.ports)):  # noqa: ASYNC110
            await asyncio.sleep(backoff.next())
        self.moving -= 1
        self.moves.append(asyncio.get_running_loop().time() - began)
