"""Through a real CONNECT proxy: the signaling client, and TURN over WebSocket with and without TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atmosphere.errors import Unreachable
from atmosphere.turn.client import Allocation, TurnEndpoint
from signaling import KeySigner, SignalingError
from signaling import session as session_module
from signaling.session import leave, open_session
from tests.certificates import self_signed, server_context
from tests.interop.tinyproxy import PASSWORD as PROXY_PASSWORD
from tests.interop.tinyproxy import USER as PROXY_USER
from tests.interop.tinyproxy import running_tinyproxy
from tests.signaling.tools import serving, url_of
from tests.turn.bridge import bridged
from tests.turn.fake_server import PASSWORD, USER, FakeTurnServer

pytestmark = pytest.mark.needs("tinyproxy")

PEER = ("192.0.2.1", 4000)


@pytest.fixture
async def server() -> AsyncIterator[FakeTurnServer]:
    with FakeTurnServer() as server:
        yield server


def endpoint(port: int, proxy: str, context: ssl.SSLContext | None = None) -> TurnEndpoint:
    """By the name alone: nobody here resolves it but the proxy."""
    transport = "wss" if context else "ws"
    return TurnEndpoint(
        ("localhost", port),
        "wss" if context else "ws",
        USER,
        PASSWORD,
        tls=context,
        url=f"{transport}://localhost:{port}/turn",
        proxy=proxy,
    )


async def echoes(end: TurnEndpoint) -> bool:
    allocation = Allocation(end)
    got: asyncio.Queue[bytes] = asyncio.Queue()
    allocation.on_datagram = lambda data, source: got.put_nowait(data)
    await allocation.open()
    allocation.send(b"x" * 1201, PEER)
    async with asyncio.timeout(5):
        same = await got.get() == b"x" * 1201
    await allocation.close()
    return same


async def test_turn_over_websocket(server: FakeTurnServer, tmp_path: Path) -> None:
    async with bridged(server.address) as bridge, running_tinyproxy(tmp_path, bridge.port) as port:
        assert await echoes(endpoint(bridge.port, f"http://127.0.0.1:{port}"))


async def test_turn_over_websocket_over_tls(server: FakeTurnServer, tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=str(files[0]))
    async with (
        bridged(server.address, context=server_context(files)) as bridge,
        running_tinyproxy(tmp_path, bridge.port) as port,
    ):
        assert await echoes(endpoint(bridge.port, f"http://127.0.0.1:{port}", trusting))
        with pytest.raises(Unreachable, match="certificate is not valid"):
            await Allocation(endpoint(bridge.port, f"http://127.0.0.1:{port}", ssl.create_default_context())).open()


async def test_the_proxy_wants_a_password(server: FakeTurnServer, tmp_path: Path) -> None:
    async with (
        bridged(server.address) as bridge,
        running_tinyproxy(tmp_path, bridge.port, authenticate=True) as port,
    ):
        assert await echoes(endpoint(bridge.port, f"http://{PROXY_USER}:{PROXY_PASSWORD}@127.0.0.1:{port}"))
        for user in ("", f"{PROXY_USER}:wrong@"):
            with pytest.raises(Unreachable, match=r"the proxy refused: 40[17]") as caught:
                await Allocation(endpoint(bridge.port, f"http://{user}127.0.0.1:{port}")).open()
            assert "wrong" not in str(caught.value)


async def test_the_proxy_opens_no_tunnel_to_that_port(server: FakeTurnServer, tmp_path: Path) -> None:
    async with bridged(server.address) as bridge, running_tinyproxy(tmp_path, 443) as port:
        with pytest.raises(Unreachable, match="the proxy refused: 403"):
            await Allocation(endpoint(bridge.port, f"http://127.0.0.1:{port}")).open()
    with pytest.raises(Unreachable, match="the proxy is not there"):
        await Allocation(endpoint(443, f"http://127.0.0.1:{port}")).open()


async def test_the_server_behind_the_proxy_is_not_there(server: FakeTurnServer, tmp_path: Path) -> None:
    async with bridged(server.address) as bridge:
        gone = bridge.port
    async with running_tinyproxy(tmp_path, gone) as port:
        with pytest.raises(Unreachable, match="the proxy refused: 50"):
            await Allocation(endpoint(gone, f"http://127.0.0.1:{port}")).open()


async def test_signaling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as server:
        url = url_of(server)
        async with running_tinyproxy(tmp_path, server.port, authenticate=True) as port:
            proxy = f"http://{PROXY_USER}:{PROXY_PASSWORD}@127.0.0.1:{port}"
            monkeypatch.setattr(session_module, "proxy_for", lambda url: proxy)
            websocket, _ = await open_session(url, KeySigner(), None)
            leave(websocket)
            await websocket.wait_closed()
            monkeypatch.setattr(session_module, "proxy_for", lambda url: proxy.replace(PROXY_PASSWORD, "hunter2"))
            with pytest.raises(SignalingError, match=r"the proxy refused: 40[17]") as caught:
                await open_session(url, KeySigner(), None)
            assert "hunter2" not in str(caught.value)
