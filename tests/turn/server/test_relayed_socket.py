"""A relayed address on loopback."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator

import pytest

from atmosphere.turn.server.flow import Address
from atmosphere.turn.server.relayed_socket import RelayedSocket
from atmosphere.udp.window import Window
from tests.until import until

Arrived = tuple[bytes, int, Address]


class Ends:
    def __init__(self) -> None:
        self.got: list[Arrived] = []
        self.closed: list[RelayedSocket] = []
        self.relay = RelayedSocket("127.0.0.1", 0, Window(), self._receive, self.closed.append)
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.settimeout(5)

    def _receive(self, window: Window, size: int, segment: int, source: Address, now: float) -> None:
        assert now > 0
        self.got.append((bytes(window.view[:size]), segment, source))


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    made = Ends()
    yield made
    made.relay.close()
    made.peer.close()


async def test_bursts_out_are_datagrams(ends: Ends) -> None:
    ends.relay.send((b"aaaa", b"bbbb", b"c"), 4, ends.peer.getsockname(), False)
    assert [ends.peer.recv(100) for _ in range(3)] == [b"aaaa", b"bbbb", b"c"]


async def test_datagrams_in(ends: Ends) -> None:
    ends.peer.sendto(b"hello", ("127.0.0.1", ends.relay.sock.port))
    await until(lambda: ends.got)
    assert ends.got == [(b"hello", 5, ends.peer.getsockname())]


@pytest.mark.skipif(sys.platform != "linux", reason="the DF bit is a socket option of Linux")
async def test_the_df_bit_is_set_for_one_send(ends: Ends) -> None:
    def discovers() -> int:
        return ends.relay.sock._sock.getsockopt(socket.IPPROTO_IP, 10)

    seen: list[int] = []
    send = ends.relay.sock.send_pieces

    def watched(*arguments: object) -> int:
        seen.append(discovers())
        return send(*arguments)  # type: ignore[arg-type]

    ends.relay.sock.send_pieces = watched  # type: ignore[method-assign,assignment]
    for whole in (False, True, False):
        ends.relay.send((b"x",), 1, ends.peer.getsockname(), whole)
    assert (seen, discovers()) == ([0, 2, 0], 0)


async def test_closing(ends: Ends) -> None:
    ends.relay.close()
    assert ends.closed == [ends.relay]
    ends.relay.send((b"x",), 1, ends.peer.getsockname(), True)
    assert ends.relay.sock.sent == 0


async def test_errors_are_swallowed(ends: Ends) -> None:
    port = ends.peer.getsockname()
    ends.peer.close()
    ends.relay.send((b"nobody listens",), 14, port, False)
    ends.relay.send((b"not an address",), 14, ("::1", 9), False)
    ends.relay.send((bytes(100),) * 3, 100, ("127.0.0.1", 0), False)
    assert ends.relay.sock.errors >= 2
    assert ends.got == []
