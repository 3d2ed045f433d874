"""A client without manners: speaks the protocol by hand, so that it can also break it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from signaling import KeySigner, Settings, SignalingServer, TurnCredentialSource, id_of
from signaling.auth import prove
from signaling.messages import encode

PATIENCE = 20.0


class RawNode:
    """One WebSocket; every wait has an end."""

    def __init__(self, websocket: ClientConnection, signer: KeySigner) -> None:
        self.websocket = websocket
        self.signer = signer
        self.id = id_of(signer.public_key)

    async def send(self, **message: Any) -> None:
        await self.websocket.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self.websocket.recv())
            return message

    async def hello(self, *, host: str | None = None) -> dict[str, Any]:
        """Answer the challenge; what the server says to that."""
        challenge = await self.receive()
        assert self.websocket.request is not None
        proof = prove(self.signer, host or self.websocket.request.headers["Host"], challenge["nonce"])
        await self.websocket.send(encode(proof).decode())
        return await self.receive()

    async def closed(self) -> int | None:
        """Wait for the end; the close code."""
        async with asyncio.timeout(PATIENCE):
            await self.websocket.wait_closed()
        return self.websocket.close_code


async def turned_away(client: RawNode, code: str) -> None:
    """Told why, and closed."""
    told = await client.receive()
    assert (told["type"], told["code"]) == ("error", code)
    assert await client.closed() == 1008


@contextlib.asynccontextmanager
async def serving(
    settings: Settings | None = None, *, turn: TurnCredentialSource | None = None, port: int = 0
) -> AsyncIterator[SignalingServer]:
    """A server on loopback."""
    server = SignalingServer(settings, turn=turn)
    await server.start("127.0.0.1", port)
    try:
        yield server
    finally:
        await server.stop()


def url_of(server: SignalingServer) -> str:
    return f"ws://127.0.0.1:{server.port}/"


@contextlib.asynccontextmanager
async def raw(server: SignalingServer, signer: KeySigner | None = None, **options: Any) -> AsyncIterator[RawNode]:
    """A connection that has said nothing yet."""
    options.setdefault("compression", None)
    options.setdefault("close_timeout", 0.5)
    async with connect(url_of(server), proxy=None, ping_interval=None, **options) as websocket:
        yield RawNode(websocket, signer or KeySigner())


@contextlib.asynccontextmanager
async def node(server: SignalingServer, signer: KeySigner | None = None, **options: Any) -> AsyncIterator[RawNode]:
    """A connection that is welcome."""
    async with raw(server, signer, **options) as made:
        welcome = await made.hello()
        assert welcome["type"] == "welcome"
        yield made


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; for what shows only in a server's tables."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (the tables have no event for a test to wait for)
            await asyncio.sleep(0.005)


async def http(server: SignalingServer, request: str) -> tuple[int, dict[str, str], str]:
    """Status, headers (names in lower case) and body of a plain HTTP exchange."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request.encode("latin-1"))
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, body


async def get(server: SignalingServer, path: str, *more: str) -> tuple[int, dict[str, str], str]:
    lines = "".join(f"{line}\r\n" for line in (f"Host: 127.0.0.1:{server.port}", *more))
    return await http(server, f"GET {path} HTTP/1.1\r\n{lines}\r\n")


async def get_json(port: int) -> dict[str, float]:
    """The numbers of /stats of a server on this port of loopback."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /stats HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        body = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        await writer.wait_closed()
    numbers: dict[str, float] = json.loads(body)
    return numbers


async def until_json(port: int, condition: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """The numbers of /stats once the condition holds for them."""
    async with asyncio.timeout(PATIENCE):
        while not condition(numbers := await get_json(port)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return numbers
