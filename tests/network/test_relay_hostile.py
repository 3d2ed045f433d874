"""Clients of the public helper that do not behave: each is refused or cut, and everybody else is served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from atmosphere.network import RelayServer
from atmosphere.tcp.port import TcpSettings
from atmosphere.turn.server.clients import StreamLimits
from signaling.settings import Settings
from tests.certificates import LOOPBACK, self_signed, trusting
from tests.network.relays import allocated, endpoint, relaying, talk
from tests.turn.server.stream_service import BINDING
from tests.until import until

PATIENCE = 10.0


@pytest.fixture(autouse=True)
async def _nothing_reaches_the_log(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """No exception in the loop's handler, no error in the log, whatever a client does."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    yield
    assert not failures
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def works(server: RelayServer, tls: ssl.SSLContext | None = None) -> None:
    """Two honest clients are served: one over a stream, one over WebSocket."""
    streams = ("tcp", "ws") if tls is None else ("tls", "wss")
    async with (
        allocated(endpoint(server, streams[0], tls)) as one,  # type: ignore[arg-type]
        allocated(endpoint(server, streams[1], tls)) as two,  # type: ignore[arg-type]
    ):
        await talk(one, two, b"works")


async def ended(port: int, data: bytes = b"", *, tls: ssl.SSLContext | None = None) -> None:
    """The server ends the connection by itself."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(data)
            await reader.read()
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("path", ["/", "/signal", "/turn", "/relay/s"])
async def test_a_website_of_somebody_else(path: str) -> None:
    async with relaying() as server:
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            async with connect(
                f"ws://127.0.0.1:{server.port}{path}",
                proxy=None,
                origin=Origin("https://evil.example"),
                subprotocols=[Subprotocol("turn")],
            ):
                pass
        assert server.stats()["origins_refused_total"] == 1
        await works(server)


@pytest.mark.parametrize(
    "crumbs",
    [b"", b"\x00", BINDING[:8], b"\x16", b"\x16\x03\x01\x02\x00\x01", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"],
    ids=["nothing", "stun", "half stun", "tls", "half tls", "http", "half http"],
)
async def test_a_slow_loris(crumbs: bytes, tmp_path: Path) -> None:
    files = self_signed(tmp_path, *LOOPBACK)
    limits: dict[str, Any] = {
        "tcp": TcpSettings(deadline=0.2),
        "streams": StreamLimits(idle=0.2),
        "signaling": Settings(handshake_timeout=0.2),
    }
    async with relaying(tls_cert=files[0], tls_key=files[1], **limits) as server:
        await ended(server.port, crumbs)
        if not crumbs.startswith(b"\x16"):
            await ended(server.port, crumbs, tls=trusting(files[0]))
        await until(lambda: server.stats()["tcp_undecided"] == 0)
        stats = server.stats()
        assert stats["turn_streams"] == stats["connections"] == 0


async def test_a_crowd_that_says_nothing(tmp_path: Path) -> None:
    """Half-open TLS handshakes: so many have a place, everybody else of their address is refused, for a while."""
    files = self_signed(tmp_path, *LOOPBACK)
    tcp = TcpSettings(undecided_per_address=20, deadline=1.0)
    async with relaying(tls_cert=files[0], tls_key=files[1], tcp=tcp) as server:
        crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        for one in crowd:
            with contextlib.suppress(OSError):
                one.send(b"\x16\x03\x01")
        await until(lambda: server.stats()["tcp_accepted_total"] == 200)
        assert server.stats()["tcp_undecided"] <= 20
        assert server.stats()["tcp_refused_total"] >= 180
        await until(lambda: server.stats()["tcp_undecided"] == 0)
        await works(server, trusting(files[0]))
        for one in crowd:
            one.close()


async def test_connections_without_use_do_not_stay() -> None:
    async with relaying(streams=StreamLimits(idle=0.2, connections_per_address=50)) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(60)]
        for one in idle:
            one.send(BINDING)
        await until(lambda: server.stats()["turn_streams_total"] == 60)
        assert server.stats()["turn_streams_refused_total"] == 10
        await until(lambda: server.stats()["turn_streams"] == 0)
        await works(server)
        for one in idle:
            one.close()


@pytest.mark.parametrize("path", ["/", "/turn", "/relay/s"])
async def test_frames_over_the_limit(path: str) -> None:
    async with relaying() as server:
        url = f"ws://127.0.0.1:{server.port}{path}"
        async with connect(url, proxy=None, compression=None, subprotocols=[Subprotocol("turn")]) as websocket:
            with contextlib.suppress(ConnectionClosed):
                await websocket.send(bytes(200_000))
            async with asyncio.timeout(PATIENCE):
                await websocket.wait_closed()
            assert websocket.close_code == 1009
        await works(server)


async def test_noise_of_every_kind(tmp_path: Path) -> None:
    chance = random.Random(7)
    files = self_signed(tmp_path, *LOOPBACK)
    unhurried = Settings(handshakes_per_address_burst=1e6)
    async with relaying(tls_cert=files[0], tls_key=files[1], signaling=unhurried) as server:
        for number in range(150):
            first = chance.choice(
                (b"\x00\x03\x00\x08\x21\x12\xa4\x42", b"\x16\x03\x01", b"GET /turn HTTP/1.1\r\n", b"@")
            )
            noise = first + chance.randbytes(chance.randrange(400))
            with contextlib.suppress(OSError):
                tls = trusting(files[0]) if number % 3 == 0 else None
                _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls)
                writer.write(noise)
                writer.close()
                await writer.wait_closed()
        await until(lambda: server.stats()["tcp_undecided"] == server.stats()["turn_streams"] == 0)
        await until(lambda: server.stats()["connections"] == 0)
        await works(server, trusting(files[0]))


async def test_a_third_client_of_a_session_for_ever() -> None:
    async with relaying() as server:
        url = f"ws://127.0.0.1:{server.port}/relay/s"
        async with connect(url, proxy=None) as one, connect(url, proxy=None) as two:
            await until(lambda: server.stats()["relay_sessions_joined_total"] == 1)
            for number in range(20):
                async with connect(url, proxy=None) as third:
                    await third.wait_closed()
                    assert third.close_code == 4409
                await one.send(str(number))
                assert await two.recv() == str(number)
            assert server.stats()["relay_clients_refused_total"] == 20
