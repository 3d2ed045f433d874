"""TCP and WebSocket to a broker; TLS is tried on a real one (tests/interop/test_mosquitto.py)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from signaling.errors import DecodeError, SignalingError
from signaling.mqtt.transport import open_transport
from signaling.mqtt.url import parse_broker
from tests.signaling.broker import FakeBroker, serving


@contextlib.asynccontextmanager
async def speaking(
    handler: Callable[[ServerConnection], Awaitable[None]], subprotocol: str | None = "mqtt", **options: Any
) -> AsyncIterator[str]:
    """A WebSocket server; the URL of the broker behind it."""
    subprotocols = [Subprotocol(subprotocol)] if subprotocol else None
    async with serve(handler, "127.0.0.1", 0, subprotocols=subprotocols, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws+mqtt://127.0.0.1:{port}"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no proxy yet."""
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


async def test_tcp() -> None:
    async with serving(FakeBroker(hang_up=True)) as broker:
        transport = await open_transport(parse_broker(broker.url), None)
        await transport.write(b"\x10\x07\0\4MQTT\5")
        assert await transport.read() == b""
        await transport.finish()
        transport.abort()
        assert broker.connects == [b"\0\4MQTT\5"]


async def test_websocket() -> None:
    paths: list[str] = []

    async def echo(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.send(b"")
        await connection.send(await connection.recv())
        await connection.close()

    async with speaking(echo) as url:
        transport = await open_transport(parse_broker(url), None)
        await transport.write(b"packets")
        assert await transport.read() == b"packets"
        assert await transport.read() == b""
        await transport.finish()
        transport.abort()
    assert paths == ["/mqtt"]


async def test_text_is_no_mqtt() -> None:
    async with speaking(lambda connection: connection.send("text")) as url:
        transport = await open_transport(parse_broker(url), None)
        with pytest.raises(DecodeError, match="text"):
            await transport.read()
        transport.abort()


async def test_a_connection_that_breaks() -> None:
    async def abort(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with speaking(abort) as url:
        transport = await open_transport(parse_broker(url), None)
        with pytest.raises(ConnectionClosed):
            await transport.read()
        transport.abort()


async def test_a_server_that_speaks_something_else() -> None:
    async with speaking(lambda connection: connection.wait_closed(), subprotocol=None) as url:
        with pytest.raises(SignalingError, match="not MQTT"):
            await open_transport(parse_broker(url), None)


async def test_nobody_sends_us_elsewhere() -> None:
    def redirect(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(302, "")
        response.headers["Location"] = "ws://127.0.0.1:9/"
        return response

    async with speaking(lambda connection: connection.wait_closed(), process_request=redirect) as url:
        with pytest.raises(Exception, match="302"):
            await open_transport(parse_broker(url), None)


async def test_nobody_there() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(OSError, match="failed"):
            await open_transport(parse_broker("mqtt://127.0.0.1:9"), None)


async def test_frames_that_carry_nothing() -> None:
    async def send_nothing(connection: ServerConnection) -> None:
        for _ in range(2000):
            await connection.send(b"")
        await connection.wait_closed()

    async with speaking(send_nothing) as url:
        transport = await open_transport(parse_broker(url), None)
        with pytest.raises(DecodeError, match="empty"):
            await transport.read()
        transport.abort()


async def test_a_proxy_that_cannot_be_used_keeps_its_password(proxy: pytest.MonkeyPatch) -> None:
    for value, text in (
        ("http://ben:sesame@127.0.0.1:9/path", "cannot be used"),
        ("http://ben:sesame@127.0.0.1:9", "not there"),
    ):
        proxy.setenv("HTTP_PROXY", value)
        with pytest.raises(SignalingError, match=text) as caught:
            await open_transport(parse_broker("ws+mqtt://broker.example"), None)
        assert "sesame" not in "".join(traceback.format_exception(caught.value))


async def test_a_broker_on_this_machine_needs_no_proxy(proxy: pytest.MonkeyPatch) -> None:
    proxy.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with speaking(lambda connection: connection.send(b"here")) as url:
        transport = await open_transport(parse_broker(url), None)
        assert await transport.read() == b"here"
        transport.abort()
