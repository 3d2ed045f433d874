from __future__ import annotations

import socket
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from atmosphere.errors import LinkError, Refused, Unreachable
from atmosphere.network import RelayClient, RelayServer
from atmosphere.network.relay_sessions import SessionLimits
from signaling.settings import Settings
from tests.certificates import LOOPBACK, self_signed, trusting
from tests.network.relays import relaying


def client(server: RelayServer, session: str = "s1") -> RelayClient:
    return RelayClient(f"http://127.0.0.1:{server.port}", session)


async def test_two_clients_talk() -> None:
    async with relaying() as server, client(server) as one, client(server) as two:
        assert one.connected
        await one.send("hello")
        await two.send(b"\x00")
        assert await two.receive() == "hello"
        assert await one.receive() == b"\x00"
        await one.disconnect()
        await one.disconnect()
        with pytest.raises(LinkError, match="the other client left"):
            await two.receive()
        with pytest.raises(LinkError, match="the other client left"):
            await two.send("too late")


async def test_messages_can_be_iterated_until_the_other_leaves() -> None:
    async with relaying() as server, client(server) as one:
        async with client(server) as two:
            for word in ("one", "two"):
                await two.send(word)
        assert [message async for message in one] == ["one", "two"]


async def test_our_own_leaving_ends_the_iteration() -> None:
    async with relaying() as server:
        one = client(server)
        await one.connect()
        await one.disconnect()
        assert not one.connected
        assert [message async for message in one] == []
        with pytest.raises(LinkError):
            await one.receive()


async def test_a_third_is_refused() -> None:
    async with relaying() as server, client(server), client(server):
        with pytest.raises(Refused, match="two clients already"):
            await client(server).connect()


async def test_too_many_sessions() -> None:
    async with relaying(sessions=SessionLimits(sessions=1)) as server, client(server):
        with pytest.raises(Refused, match="too many sessions"):
            await client(server, "other").connect()


async def test_a_door_that_is_shut() -> None:
    async with relaying(signaling=Settings(max_connections=1)) as server, client(server):
        with pytest.raises(Refused, match="HTTP 503: The server is full"):
            await client(server).connect()


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="no relay at"):
        await RelayClient(f"ws://127.0.0.1:{port}", "s").connect()


async def test_something_else_there() -> None:
    async with relaying() as server:
        with pytest.raises(Unreachable, match="no relay: HTTP 404"):
            await RelayClient(f"ws://127.0.0.1:{server.port}/elsewhere", "s").connect()


async def test_a_server_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(Unreachable, match="no relay at"):
            await RelayClient(f"ws://127.0.0.1:{listener.getsockname()[1]}", "s").connect(timeout=0.1)


async def test_over_tls(tmp_path: Path) -> None:
    files = self_signed(tmp_path, *LOOPBACK)
    async with relaying(tls_cert=files[0], tls_key=files[1]) as server:
        url = f"https://127.0.0.1:{server.port}"
        with pytest.raises(Unreachable, match="certificate"):
            await RelayClient(url, "s").connect()
        tls = trusting(files[0])
        async with RelayClient(url, "s", tls=tls) as one, RelayClient(url, "s", tls=tls) as two:
            await one.send("hello")
            assert await two.receive() == "hello"


async def test_a_connection_that_breaks() -> None:
    async def broken(connection: ServerConnection) -> None:
        async for _ in connection:
            connection.transport.abort()

    async with serve(broken, "127.0.0.1", 0) as server:
        async with RelayClient(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", "s") as one:
            await one.send("x")
            with pytest.raises(LinkError, match="broke"):
                [message async for message in one]


async def test_a_relay_that_closes_for_its_own_reasons() -> None:
    async def closing(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.close(1011)

    async with serve(closing, "127.0.0.1", 0) as server:
        async with RelayClient(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", "s") as one:
            await one.send("x")
            with pytest.raises(LinkError, match=r"1011"):
                await one.receive()


async def test_before_it_is_connected() -> None:
    one = RelayClient("ws://127.0.0.1:1", "s")
    assert not one.connected
    with pytest.raises(LinkError, match="not connected"):
        await one.send("x")
    await one.disconnect()


@pytest.mark.parametrize(
    ("url", "session"), [("ws://h", ""), ("ws://h", "a b"), ("ws://h", "x" * 65), ("ftp://h", "s")]
)
def test_what_cannot_be(url: str, session: str) -> None:
    with pytest.raises(ValueError):
        RelayClient(url, session)


def test_a_path_before_it_stays() -> None:
    assert RelayClient("https://example.org/atm/", "s").url == "wss://example.org/atm/relay/s"
