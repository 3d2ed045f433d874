"""A WebSocket in front of a TURN server that has none: frames to datagrams and back. It misbehaves on request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from atmosphere.turn.stream import pad, split

Address = tuple[str, int]


class _Datagrams(asyncio.DatagramProtocol):
    """What the TURN server says goes into frames, padded as in a stream."""

    def __init__(self, websocket: ServerConnection) -> None:
        self.websocket = websocket

    def datagram_received(self, data: bytes, addr: Address) -> None:
        with suppress(ConnectionClosed):
            self.websocket.protocol.send_binary(pad(data))
            self.websocket.send_data()


class Bridge:
    """The frames that came are in `frames`, the connections in `connections`, the request targets in `paths`."""

    def __init__(self, turn: Address) -> None:
        self.turn = turn
        self.frames: list[bytes] = []
        self.connections: list[ServerConnection] = []
        self.paths: list[str] = []
        self.server: Server | None = None

    @property
    def port(self) -> int:
        assert self.server is not None
        return int(next(iter(self.server.sockets)).getsockname()[1])

    async def handle(self, websocket: ServerConnection) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(websocket), remote_addr=self.turn)
        self.connections.append(websocket)
        try:
            async for frame in websocket:
                assert isinstance(frame, bytes)
                self.frames.append(frame)
                for message in split(frame):
                    transport.sendto(_unpadded(message))
        except ConnectionClosed:
            return
        finally:
            transport.close()

    def check_path(self, websocket: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        return None if request.path == "/turn" else websocket.respond(HTTPStatus.NOT_FOUND, "not here")


def _unpadded(message: bytes) -> bytes:
    return message[: 4 + int.from_bytes(message[2:4])] if message[0] >= 0x40 else message


@asynccontextmanager
async def bridged(
    turn: Address, *, context: ssl.SSLContext | None = None, subprotocol: str = "turn", port: int = 0
) -> AsyncIterator[Bridge]:
    """A bridge to the TURN server at `turn`, on loopback."""
    bridge = Bridge(turn)
    async with serve(
        bridge.handle,
        "127.0.0.1",
        port,
        process_request=bridge.check_path,
        subprotocols=[Subprotocol(subprotocol)],
        select_subprotocol=lambda _, offered: Subprotocol(subprotocol) if subprotocol in offered else None,
        compression=None,
        ssl=context,
        max_size=131072,
        close_timeout=0.1,
    ) as bridge.server:
        yield bridge
