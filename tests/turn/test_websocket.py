"""atmosphere.turn.websocket, through a WebSocket in front of a server that misbehaves; a real one is in interop."""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close
from websockets.http11 import Request, Response

from atmosphere.errors import Refused, Unreachable
from atmosphere.stun.library import stun
from atmosphere.stun.message import Class, Message, Method, encode
from atmosphere.turn import websocket
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.protocol import MAX_WRITE_BUFFER
from atmosphere.turn.stream import split
from atmosphere.turn.websocket import MAX_SENT, WebSocketTransport, _why_closed
from tests.certificates import self_signed, server_context
from tests.turn.bridge import Bridge, bridged
from tests.turn.fake_server import PASSWORD, RELAYED, USER, FakeTurnServer
from tests.until import until

PEER = ("192.0.2.1", 4000)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun, "RETRY_RTO", 0.05)


@pytest.fixture
async def server() -> AsyncIterator[FakeTurnServer]:
    with FakeTurnServer() as server:
        yield server


def endpoint(port: int, path: str = "/turn", *, context: ssl.SSLContext | None = None) -> TurnEndpoint:
    transport, host = ("wss", "localhost") if context else ("ws", "127.0.0.1")
    url = f"{transport}://{host}:{port}{path}"
    return TurnEndpoint(
        ("127.0.0.1", port), "wss" if context else "ws", USER, PASSWORD, host=host, tls=context, url=url
    )


class Opened:
    """An allocation over a bridge, and what comes out of it."""

    def __init__(self, end: TurnEndpoint) -> None:
        self.allocation = Allocation(end)
        self.got: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.allocation.on_datagram = lambda data, source: self.got.put_nowait((data, source))
        self.allocation.on_lost = self.lost.put_nowait

    async def echo(self, data: bytes) -> None:
        self.allocation.send(data, PEER)
        async with asyncio.timeout(5):
            assert await self.got.get() == (data, PEER)

    @property
    def transport(self) -> WebSocketTransport:
        assert self.allocation._protocol is not None
        transport = self.allocation._protocol.transport
        assert isinstance(transport, WebSocketTransport)
        return transport


@contextlib.asynccontextmanager
async def opened(bridge: Bridge, context: ssl.SSLContext | None = None) -> AsyncIterator[Opened]:
    made = Opened(endpoint(bridge.port, context=context))
    await made.allocation.open()
    try:
        yield made
    finally:
        await made.allocation.close()


async def test_data_there_and_back(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge, opened(bridge) as made:
        assert made.allocation.relayed == RELAYED
        for size in (0, 1, 2, 3, 4, 1200, 60_000):
            await made.echo(bytes(range(256)) * (size // 256) + bytes(size % 256))
        assert bridge.paths == ["/turn"]
    assert server.requests[Method.REFRESH] == 1  # it was given back


async def test_over_tls_the_certificate_counts(server: FakeTurnServer, tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=str(files[0]))
    async with bridged(server.address, context=server_context(files)) as bridge:
        async with opened(bridge, trusting) as made:
            await made.echo(b"sealed")
        for context, host in ((None, "localhost"), (trusting, "elsewhere.example")):
            url = f"wss://{host}:{bridge.port}/turn"
            end = TurnEndpoint(("127.0.0.1", bridge.port), "wss", USER, PASSWORD, tls=context, url=url)
            with pytest.raises(Unreachable, match="certificate is not valid"):
                await Allocation(end).open()


async def test_a_burst_leaves_as_one_frame(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge, opened(bridge) as made:
        await made.echo(b"bound")
        bridge.frames.clear()
        burst = [b"%d" % number * 300 for number in range(40)]
        for data in burst:
            made.allocation.send(data, PEER)
        async with asyncio.timeout(5):
            assert [(await made.got.get())[0] for _ in burst] == burst
        assert [len(split(frame)) for frame in bridge.frames] == [40]


async def test_frames_have_a_limit(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge, opened(bridge) as made:
        await made.echo(b"bound")
        bridge.frames.clear()
        for _ in range(100):
            made.allocation.send(bytes(1300), PEER)
        await until(lambda: sum(len(split(frame)) for frame in bridge.frames) == 100)
        assert len(bridge.frames) == 2
        assert max(map(len, bridge.frames)) <= MAX_SENT


async def test_a_server_that_does_not_read_costs_no_memory(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge, opened(bridge) as made:
        await made.echo(b"bound")
        bridge.connections[0].transport.pause_reading()
        for _ in range(100):
            for _ in range(50):
                made.allocation.send(bytes(10_000), PEER)
            await asyncio.sleep(0)
        assert made.allocation.dropped > 1000
        assert made.transport.get_write_buffer_size() < MAX_WRITE_BUFFER + MAX_SENT + 20_000
        made.transport.abort()
        await made.lost.get()


async def test_a_lost_connection_is_told_once(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge, opened(bridge) as made:
        await bridge.connections[0].close(1001, "restarting")
        async with asyncio.timeout(5):
            assert await made.lost.get() == "the server closed the connection (1001 restarting)"
        assert not made.allocation.is_open
        made.allocation.send(b"x", PEER)
    assert made.lost.empty()


async def test_a_connection_that_breaks(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge, opened(bridge) as made:
        bridge.connections[0].transport.abort()
        async with asyncio.timeout(5):
            assert await made.lost.get() == "the connection broke"


async def test_a_server_that_answers_no_ping(server: FakeTurnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PING_INTERVAL", 0.05)
    monkeypatch.setattr(websocket, "PING_TIMEOUT", 0.05)
    async with bridged(server.address) as bridge, opened(bridge) as made:
        bridge.connections[0].transport.pause_reading()
        async with asyncio.timeout(5):
            assert await made.lost.get() == "no answer"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"SSH-",
        b"\x40\x00\x00\x01x",
        b"\x40\x00\x00\x00\x40",
        "text",
        encode(Message(Method.DATA, Class.INDICATION))[:-1],
    ],
    ids=["nothing", "SSH", "too short", "half a header", "text", "a cut indication"],
)
async def test_frames_that_hold_anything_but_whole_messages(server: FakeTurnServer, frame: bytes | str) -> None:
    async with bridged(server.address) as bridge, opened(bridge) as made:
        await bridge.connections[0].send(frame)
        if frame == b"":
            await made.echo(b"nothing is nothing")
            return
        async with asyncio.timeout(5):
            assert await made.lost.get() == "the server sent what is not TURN"


async def test_a_frame_that_is_too_large_ends_it(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge, opened(bridge) as made:
        await bridge.connections[0].send(bytes(200_000))
        async with asyncio.timeout(5):
            assert (await made.lost.get()).startswith("the server broke the rules of WebSocket (1009")


async def test_wrong_credentials_are_named(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge:
        url = f"ws://127.0.0.1:{bridge.port}/turn"
        with pytest.raises(Refused, match="wrong user name or password"):
            await Allocation(TurnEndpoint(("127.0.0.1", bridge.port), "ws", USER, "wrong", url=url)).open()


async def test_a_path_that_is_not_there(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge:
        with pytest.raises(Unreachable, match="HTTP 404: no TURN there"):
            await Allocation(endpoint(bridge.port, "/elsewhere")).open()


async def test_a_websocket_that_is_no_turn_server(server: FakeTurnServer) -> None:
    async with bridged(server.address, subprotocol="chat") as bridge:
        with pytest.raises(Unreachable, match="no TURN server behind it"):
            await Allocation(endpoint(bridge.port)).open()


async def test_a_server_that_is_no_web_server() -> None:
    async def serve_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(serve_mail, "127.0.0.1", 0) as listening:
        with pytest.raises(Unreachable, match="no WebSocket server there"):
            await Allocation(endpoint(listening.sockets[0].getsockname()[1])).open()


async def test_a_redirect_is_not_followed(server: FakeTurnServer) -> None:
    async with bridged(server.address) as bridge:

        def redirect(connection: ServerConnection, _: Request) -> Response:
            response = connection.respond(http.HTTPStatus.FOUND, "")
            response.headers["Location"] = f"ws://127.0.0.1:{bridge.port}/turn"
            return response

        async with serve(bridge.handle, "127.0.0.1", 0, process_request=redirect) as redirecting:
            with pytest.raises(Unreachable, match="the server answered HTTP 302"):
                await Allocation(endpoint(redirecting.sockets[0].getsockname()[1])).open()
        assert bridge.connections == []


async def test_a_closed_port_and_a_silent_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
            await Allocation(endpoint(port)).open(timeout=0.2)
    with pytest.raises(Unreachable, match="connection refused"):
        await Allocation(endpoint(port)).open()


def test_what_a_server_says_when_it_closes_stays_in_its_line() -> None:
    closed = ConnectionClosedError(Close(4000, "bye\n2026 INFO forged \x1b[2J"), None)
    assert _why_closed(closed) == "the server closed the connection (4000 bye?2026 INFO forged ?[2J)"
    assert _why_closed(ConnectionClosedError(Close(1011, ""), None)) == "the server closed the connection (1011)"
