from __future__ import annotations

import sys
from typing import Any

import pytest

from atmosphere.turn.udp import UdpTransport, can_connect, open_udp
from atmosphere.udp.socket import UdpSocket
from tests.until import until

pytestmark = pytest.mark.skipif(not can_connect(), reason="this system uses asyncio's transport")


class Log:
    """A protocol that writes down what it is told."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.got: list[bytes] = []
        self.errors: list[Exception] = []
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def burst_received(self, data: bytes, segment: int) -> None:
        self.got += [data[place : place + segment] for place in range(0, len(data), segment)]

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


async def test_datagrams_and_bursts_go_to_the_server_and_come_from_it() -> None:
    server, log = UdpSocket.bind("127.0.0.1"), Log()
    server.on_datagram = server.send
    transport = open_udp((server.address, server.port), log)
    assert log.transport is transport and isinstance(transport, UdpTransport)
    transport.sendto(b"one")
    await until(lambda: log.got == [b"one"])
    assert transport.send_burst(b"a" * 100 + b"b" * 100 + b"c", 100, 3) == 3
    await until(lambda: log.got == [b"one", b"a" * 100, b"b" * 100, b"c"])
    assert transport.get_extra_info("peername") == (server.address, server.port)
    assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
    assert transport.get_extra_info("cipher", "none") == "none"
    stranger = UdpSocket.bind("127.0.0.1")
    stranger.send(b"forged", transport.get_extra_info("sockname"))
    transport.sendto(b"two")
    await until(lambda: log.got[-1] == b"two")
    assert b"forged" not in log.got
    room: list[bool] = []
    transport.when_writable(lambda: room.append(True))
    await until(lambda: room)
    transport.close()
    for sock in (server, stranger):
        sock.close()


async def test_a_server_that_is_not_there_is_told() -> None:
    server, log = UdpSocket.bind("127.0.0.1"), Log()
    transport = open_udp((server.address, server.port), log)
    server.close()
    transport.sendto(b"x")
    await until(lambda: log.errors)
    assert isinstance(log.errors[0], ConnectionRefusedError)
    transport.close()


async def test_the_end_is_told_once_and_later() -> None:
    log = Log()
    transport = open_udp(("127.0.0.1", 9), log)
    assert not transport.is_closing()
    transport.close()
    transport.abort()
    assert transport.is_closing() and log.lost == []
    transport.sendto(b"x")
    await until(lambda: log.lost == [None])


async def test_an_address_that_cannot_be_reached_is_an_error() -> None:
    with pytest.raises(OSError, match=r".+"):
        open_udp(("255.255.255.255", 9), Log())


def test_elsewhere_asyncio_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not can_connect()
