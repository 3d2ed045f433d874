from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from atmosphere.errors import DecodeError
from atmosphere.network.discover import ask_over, discover_public_ip
from atmosphere.network.servers import parse_servers
from atmosphere.network.stun_service import StunService
from atmosphere.stun.exchange import Exchange
from atmosphere.stun.message import binding_response, decode, encode, error_response
from atmosphere.udp.socket import UdpSocket


@pytest.fixture
async def service() -> AsyncIterator[StunService]:
    async with StunService("127.0.0.1", 0) as service:
        yield service


@pytest.fixture
async def silent() -> AsyncIterator[UdpSocket]:
    socket = UdpSocket.bind("127.0.0.1")
    yield socket
    socket.close()


async def test_the_first_answer_counts(service: StunService, silent: UdpSocket) -> None:
    found = await discover_public_ip([f"127.0.0.1:{silent.port}", f"stun:127.0.0.1:{service.port}"])
    assert found is not None
    assert (found.ip, found.family, found.server) == ("127.0.0.1", 4, f"stun:127.0.0.1:{service.port}")
    assert found.port > 0
    assert found.rtt_ms >= 0


async def test_the_port_asked_for(service: StunService) -> None:
    with_free_port = UdpSocket.bind("0.0.0.0")
    port = with_free_port.port
    with pytest.raises(OSError):
        await discover_public_ip([f"127.0.0.1:{service.port}"], family=4, local_port=port)
    with_free_port.close()
    found = await discover_public_ip([f"127.0.0.1:{service.port}"], family=4, local_port=port)
    assert found is not None
    assert found.port == port


async def test_nobody_answers(silent: UdpSocket) -> None:
    assert await discover_public_ip([f"127.0.0.1:{silent.port}"], timeout=0.05) is None


async def test_a_server_that_refuses(silent: UdpSocket) -> None:
    def refuse(data: bytes, source: tuple[str, int]) -> None:
        silent.send(encode(error_response(decode(data), 500, "Server Error")), source)

    silent.on_datagram = refuse
    assert await asyncio.wait_for(discover_public_ip([f"127.0.0.1:{silent.port}"], timeout=60), 5) is None


async def test_nobody_to_ask() -> None:
    assert await asyncio.wait_for(discover_public_ip([], timeout=60), 5) is None
    assert await asyncio.wait_for(discover_public_ip(["[::1]:9"], family=4, timeout=60), 5) is None


async def test_strict(service: StunService) -> None:
    async with StunService("127.0.0.1", 0) as second:
        one, other = f"127.0.0.1:{service.port}", f"127.0.0.1:{second.port}"
        assert await discover_public_ip([one], strict=True) is None
        found = await discover_public_ip([one, other], strict=True)
        assert found is not None
        assert found.ip == "127.0.0.1"


async def test_strict_believes_no_liar(service: StunService, silent: UdpSocket) -> None:
    def lie(data: bytes, source: tuple[str, int]) -> None:
        silent.send(encode(binding_response(decode(data), ("198.51.100.66", 666))), source)

    silent.on_datagram = lie
    servers = [f"127.0.0.1:{silent.port}", f"127.0.0.1:{service.port}"]
    assert await discover_public_ip(servers, strict=True, timeout=1) is None


async def test_a_server_written_wrong() -> None:
    with pytest.raises(DecodeError):
        await discover_public_ip(["turn:example.com"])


async def test_over_a_socket_of_ours(service: StunService, silent: UdpSocket) -> None:
    exchange = Exchange(UdpSocket.bind("127.0.0.1"))
    found = await ask_over(exchange, parse_servers([f"127.0.0.1:{service.port}"]))
    assert found is not None
    assert found.port == exchange.socket.port
    assert await ask_over(exchange, parse_servers([f"127.0.0.1:{silent.port}"]), timeout=0.05) is None
    exchange.close()
