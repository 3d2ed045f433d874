"""A signaling server that speaks the protocol and lies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from signaling.auth import check, new_nonce
from signaling.messages import (
    PROTOCOL,
    Challenge,
    Delivered,
    Done,
    Hello,
    Incoming,
    Limits,
    Send,
    ServerMessage,
    Welcome,
    decode_client,
    encode,
)
from signaling.model import new_message_id
from signaling.turn_credentials import TurnServer
from tests.fuzz.mutate import Mutator

STRANGER = "a" * 52


class Liar:
    """Passes messages on as `lie` says; without a lie it is an honest server."""

    def __init__(self) -> None:
        self.port = 0
        self.chance = random.Random(1)
        self.mutator = Mutator(1)
        self.nodes: dict[str, ServerConnection] = {}
        self.sent: list[tuple[str, Send]] = []
        self.connections = 0
        self.turn: list[TurnServer] = []
        self.lie: Callable[[Liar, str, Send], Awaitable[None]] = Liar.honestly
        self.welcome: Callable[[Liar, str], str] = lambda _, node: node
        self.after_welcome: Callable[[Liar, ServerConnection], Awaitable[None]] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def handle(self, websocket: ServerConnection) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionClosed):
            nonce = new_nonce()
            await websocket.send(encode(Challenge(PROTOCOL, nonce)), text=True)
            hello = decode_client(await websocket.recv())
            assert isinstance(hello, Hello)
            assert websocket.request is not None
            node = check(hello, websocket.request.headers["Host"], nonce)
            self.nodes[node] = websocket
            welcome = Welcome(self.welcome(self, node), Limits(16384), 20.0, self.turn)
            await websocket.send(encode(welcome), text=True)
            if self.after_welcome is not None:
                await self.after_welcome(self, websocket)
            async for frame in websocket:
                await self._receive(node, websocket, frame)

    async def _receive(self, node: str, websocket: ServerConnection, frame: str | bytes) -> None:
        message = decode_client(frame)
        if not isinstance(message, Send):
            await websocket.send(encode(Done(getattr(message, "ref", 0))), text=True)
            return
        self.sent.append((node, message))
        await self.lie(self, node, message)
        await websocket.send(encode(Delivered(message.ref)), text=True)

    async def tell(self, node: str, message: ServerMessage) -> None:
        """Write to a node that is here."""
        websocket = self.nodes.get(node)
        if websocket is not None:
            with contextlib.suppress(ConnectionClosed):
                await websocket.send(encode(message), text=True)

    async def bring(self, to: str, sender: str, payload: str, message_id: str | None = None) -> None:
        """Deliver a message, true or not."""
        await self.tell(to, Incoming(sender, payload, message_id or new_message_id()))

    # What it does with a message.

    async def honestly(self, sender: str, message: Send) -> None:
        """To the receiver, as it came."""
        await self.bring(message.to, sender, message.payload, message.id)

    async def keeping_it(self, sender: str, message: Send) -> None:
        """Nowhere, though it says so."""

    async def to_everybody_else(self, sender: str, message: Send) -> None:
        """To all but the receiver."""
        for node in list(self.nodes):
            if node != message.to:
                await self.bring(node, sender, message.payload)

    async def from_somebody_else(self, sender: str, message: Send) -> None:
        """To the receiver, as if each of the others had sent it."""
        for node in (STRANGER, *self.nodes):
            if node != sender:
                await self.bring(message.to, node, message.payload)

    async def altered(self, sender: str, message: Send) -> None:
        """With other bytes in it, some under the id of the true one."""
        payload = base64.b64decode(message.payload)
        for number in range(8):
            changed = base64.b64encode(self.mutator.change(payload)[:9000]).decode()
            await self.bring(message.to, sender, changed, message.id if number % 2 else None)

    async def again_and_again(self, sender: str, message: Send) -> None:
        """All that was ever sent to the receiver, and to others, many times over."""
        for former, other in self.sent[-20:] * 3:
            await self.bring(message.to, former, other.payload)

    async def of_its_own(self, sender: str, message: Send) -> None:
        """Envelopes that it made up."""
        for kind in range(5):
            made = bytes([kind]) + self.chance.randbytes(self.chance.choice((0, 4, 8, 60, 4000)))
            await self.bring(message.to, sender, base64.b64encode(made).decode())
            await self.bring(message.to, STRANGER, "no base64!!")


LIES = [
    Liar.keeping_it,
    Liar.to_everybody_else,
    Liar.from_somebody_else,
    Liar.altered,
    Liar.again_and_again,
    Liar.of_its_own,
]


@contextlib.asynccontextmanager
async def lying() -> AsyncIterator[Liar]:
    """A liar on loopback."""
    liar = Liar()
    async with serve(liar.handle, "127.0.0.1", 0, ping_interval=None, close_timeout=0.2, compression=None) as server:
        liar.port = next(iter(server.sockets)).getsockname()[1]
        yield liar


async def in_vain(websocket: ServerConnection, frames: AsyncIterator[str | bytes]) -> None:
    """Write until the other side has had enough."""
    async for frame in frames:
        await websocket.send(frame)
        await asyncio.sleep(0)
