"""The public helper: signaling and STUN on one port number."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from atmosphere.cli.daemon.relay import Relay, RelaySettings
from atmosphere.errors import AtmosphereError
from atmosphere.stun.message import Class, Message, Method, decode, encode
from atmosphere.udp.socket import UdpSocket


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    started = Relay(RelaySettings(port=0, host="127.0.0.1", drain=0.01, turn=("turn:example.org",), secret="s"))
    await started.start()
    yield started
    await started.stop()


async def test_stun_answers(relay: Relay) -> None:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    asking = UdpSocket.bind("127.0.0.1")
    asking.on_datagram = lambda data, source: answer.set_result(data)
    request = Message(Method.BINDING, Class.REQUEST)
    asking.send(encode(request), ("127.0.0.1", relay.port))
    response = decode(await asyncio.wait_for(answer, 5))
    assert response.attributes["XOR-MAPPED-ADDRESS"] == ("127.0.0.1", asking.port)
    asking.close()


async def test_http_answers(relay: Relay) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"ok\n")
    writer.close()
    await writer.wait_closed()


async def test_describe(relay: Relay) -> None:
    place = f"127.0.0.1:{relay.port}"
    assert relay.describe() == {
        "port": relay.port,
        "addresses": [place],
        "signaling": [f"ws://{place}"],
        "stun": [f"stun:{place}"],
        "turn": ["turn:example.org"],
    }


async def test_public_host() -> None:
    relay = Relay(RelaySettings(port=0, public_host="2001:db8::7", drain=0.01))
    await relay.start()
    assert relay.describe()["signaling"] == [f"ws://[2001:db8::7]:{relay.port}"]
    assert f"127.0.0.1:{relay.port}" in relay.describe()["addresses"]
    await relay.stop()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
async def test_port_taken(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        relay = Relay(RelaySettings(port=port, host="127.0.0.1", drain=0.01))
        with pytest.raises(AtmosphereError, match=f"port {port} is already in use"):
            await relay.start()
