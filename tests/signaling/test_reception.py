"""Routes, origins, proxies, and connections that somebody else accepts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from signaling import Settings, SignalingServer, reception
from signaling.connection import NodeConnection
from signaling.routes import Route
from tests.signaling.tools import PATIENCE, get, node, raw, until

KEY = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + "A" * 22 + "==",
)


async def echo(connection: NodeConnection) -> None:
    """Send back what comes, with the path and the client's address before it."""
    with contextlib.suppress(ConnectionClosed):
        async for frame in connection:
            assert isinstance(frame, bytes)
            connection.write_bytes(f"{connection.path} {connection.client[0]} ".encode() + frame)


ECHO = Route("/echo".__eq__, echo, "an echo", 100_000, "echo")


@contextlib.asynccontextmanager
async def serving(
    settings: Settings | None = None, routes: Iterable[Route] = (ECHO,), *, websockets: bool = True
) -> AsyncIterator[SignalingServer]:
    """A server whose connections are accepted by the test."""
    server = SignalingServer(settings, routes=routes)
    server.open()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: server.connection(websockets=websockets), "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()
    await server.stop()


def echo_of(server: SignalingServer, path: str = "/echo", **options: object) -> connect:
    url = f"ws://127.0.0.1:{server.port}{path}"
    return connect(url, proxy=None, subprotocols=[Subprotocol("echo")], **options)  # type: ignore[arg-type]


async def test_another_route_lives_beside_signaling() -> None:
    async with serving() as server, node(server) as ann, echo_of(server) as websocket:
        await websocket.send(b"x" * 50_000)
        assert await websocket.recv() == b"/echo 127.0.0.1 " + b"x" * 50_000
        await ann.send(type="watch", ids=[], ref=1)
        assert (await ann.receive())["type"] == "done"
        assert server.stats()["connections"] == 2
        assert server.stats()["nodes"] == 1


async def test_each_route_has_its_own_limit_of_size() -> None:
    async with serving() as server, echo_of(server) as websocket:
        await websocket.send(b"x" * 100_001)
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 1009


async def test_a_subprotocol_must_be_offered() -> None:
    async with serving() as server:
        with pytest.raises(InvalidStatus, match="HTTP 400"):
            async with connect(f"ws://127.0.0.1:{server.port}/echo", proxy=None):
                pass
        status, _, body = await get(server, "/echo")
        assert (status, body) == (426, "This is an echo: connect by WebSocket.\n")


async def test_a_route_that_fails_closes_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(connection: NodeConnection) -> None:
        raise ValueError("a mistake")

    async with serving(routes=[Route("/broken".__eq__, broken, "broken", 1)]) as server, node(server) as ann:
        async with connect(f"ws://127.0.0.1:{server.port}/broken", proxy=None) as websocket:
            await websocket.wait_closed()
        assert websocket.close_code == 1011
        await ann.send(type="watch", ids=[], ref=1)
        assert (await ann.receive())["type"] == "done"
    assert "a mistake" in caplog.text


@pytest.mark.parametrize("prefix", ["", "/far"])
async def test_a_path_prefix_may_be_there_or_not(prefix: str) -> None:
    async with serving(Settings(path_prefix="/far")) as server:
        assert (await get(server, f"{prefix}/health"))[0] == 200
        async with echo_of(server, f"{prefix}/echo") as websocket:
            await websocket.send(b"1")
            assert await websocket.recv() == b"/echo 127.0.0.1 1"


async def test_pages_of_other_websites_may_not_connect() -> None:
    async with serving(Settings(allow_origins=("https://friend.example",))) as server:
        for origin in ("https://friend.example", f"http://127.0.0.1:{server.port}"):
            async with echo_of(server, origin=Origin(origin)):
                pass
        for origin in ("https://evil.example", "null"):
            with pytest.raises(InvalidStatus, match="HTTP 403"):
                async with echo_of(server, origin=Origin(origin)):
                    pass
        assert server.stats()["origins_refused_total"] == 2
        assert (await get(server, "/health", "Origin: https://evil.example"))[0] == 200


async def test_plain_http_without_websockets() -> None:
    async with serving(websockets=False) as server:
        assert (await get(server, "/health"))[0] == 200
        status, _, body = await get(server, "/", *KEY)
        assert (status, "wss://" in body) == (403, True)


async def test_clients_behind_a_proxy_have_limits_of_their_own() -> None:
    settings = Settings(trusted_proxies=("127.0.0.1",), max_connections_per_address=1)
    async with serving(settings) as server, contextlib.AsyncExitStack() as stack:
        for client in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            headers = {"X-Forwarded-For": f"10.0.0.1, {client}"}
            websocket = await stack.enter_async_context(echo_of(server, additional_headers=headers))
            await websocket.send(b"")
            assert await websocket.recv() == f"/echo {client} ".encode()
        for _ in range(2):
            with pytest.raises(InvalidStatus, match="HTTP 429"):
                async with echo_of(server, additional_headers={"X-Forwarded-For": "192.0.2.3"}):
                    pass
        await websocket.close()
        await until(lambda: server.stats()["connections"] == 2)
        async with echo_of(server, additional_headers={"X-Forwarded-For": "192.0.2.3"}):
            pass
        async with raw(server), raw(server):  # of the proxy's own: counted in all only
            pass
    assert server._reception.door._seats.total == 0
    assert not server._reception.door._seats._taken


async def test_nobody_else_is_believed_about_addresses() -> None:
    async with serving() as server, echo_of(server, additional_headers={"X-Forwarded-For": "192.0.2.1"}) as websocket:
        await websocket.send(b"")
        assert await websocket.recv() == b"/echo 127.0.0.1 "


async def test_silence_counts_only_while_we_read() -> None:
    started = asyncio.Event()

    async def stalled(connection: NodeConnection) -> None:
        started.set()
        await connection.wait_closed()

    settings = Settings(keepalive=0.05, sweep_interval=0.01)
    route = Route("/stalled".__eq__, stalled, "stalled", 1000)
    async with serving(settings, [route]) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/stalled", proxy=None, ping_interval=None) as websocket:
            await started.wait()
            for _ in range(50):
                await websocket.send(b"x" * 1000)
            [held] = server._reception.door.inside
            await until(lambda: not held.transport.is_reading())
            websocket.transport.pause_reading()
            began = asyncio.get_running_loop().time()
            await until(lambda: held.loop.time() - began > 0.3)
            assert server.stats()["silent_cut_total"] == 0


async def test_the_end_does_not_wait_for_who_does_not_answer() -> None:
    async with serving() as server, echo_of(server) as websocket:
        websocket.transport.pause_reading()
        with socket.create_connection(("127.0.0.1", server.port)):
            await until(lambda: server.stats()["connections"] == 2)
            async with asyncio.timeout(PATIENCE):
                await server.stop()
        websocket.transport.abort()


async def test_the_end_does_not_wait_for_a_handler_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "CLOSE_TIMEOUT", 0.05)
    started, ended = asyncio.Event(), asyncio.Event()

    async def stays(connection: NodeConnection) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(routes=[Route("/stays".__eq__, stays, "stays", 1)]) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/stays", proxy=None), asyncio.timeout(PATIENCE):
            await started.wait()
            await server.stop()
            assert ended.is_set()
            assert not server._reception._tasks


async def test_the_end_does_not_wait_for_who_is_over_its_rate() -> None:
    settings = Settings(messages_per_connection=0.001, messages_per_connection_burst=1)
    async with serving(settings) as server, node(server) as ann, asyncio.timeout(PATIENCE):
        for ref in range(3):
            await ann.send(type="watch", ids=[], ref=ref)
        await until(lambda: server.stats()["messages_delayed_total"] == 1)
        await server.stop()


@pytest.mark.parametrize(("hosts", "status"), [((), "403 Forbidden"), (("example.org",), "101 Switching Protocols")])
async def test_a_page_of_a_name_that_leads_here_may_connect_when_it_is_ours(
    hosts: tuple[str, ...], status: str
) -> None:
    async with serving(Settings(hosts=hosts)) as server, asyncio.timeout(PATIENCE):
        lines = ("GET / HTTP/1.1", f"Host: example.org:{server.port}", f"Origin: http://example.org:{server.port}")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write("".join(f"{line}\r\n" for line in (*lines, *KEY, "")).encode())
        assert (await reader.readline()).decode() == f"HTTP/1.1 {status}\r\n"
        assert server.stats()["origins_refused_total"] == (not hosts)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
