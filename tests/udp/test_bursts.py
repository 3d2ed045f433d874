"""Reading bursts with UdpSocket, where most of them are single datagrams, and where a system has no bursts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from atmosphere.udp import socket as module
from atmosphere.udp.socket import DRAIN, UdpSocket

Burst = tuple[bytes, int]


class Reader:
    """A socket that takes bursts, and another that sends to it."""

    def __init__(self) -> None:
        self.sock = UdpSocket.bind("127.0.0.1")
        self.sender = UdpSocket.bind("127.0.0.1")
        self.got: list[Burst] = []
        self.sock.on_burst = lambda data, segment, source: self.got.append((data, segment))

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.sender.send(datagram, (self.sock.address, self.sock.port))

    def close(self) -> None:
        self.sock.close()
        self.sender.close()


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    made = Reader()
    yield made
    made.close()


async def test_single_datagrams_are_read_as_many_at_once_as_without_bursts(reader: Reader) -> None:
    reader.send(*(bytes([number]) for number in range(DRAIN)))
    reader.sock._readable()
    assert reader.got == [(bytes([number]), 1) for number in range(DRAIN)]


async def test_much_is_read_in_turns(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BURST_DRAIN", 2500)
    reader.send(*(bytes(1000) for _ in range(5)))
    reader.sock._readable()
    assert len(reader.got) == 3
    reader.sock._readable()
    assert len(reader.got) == 5


async def test_a_system_without_recvmsg_has_bursts_of_one(reader: Reader) -> None:
    reader.sock._receive = reader.sock._alone
    reader.send(b"one", b"", b"three")
    reader.sock._readable()
    assert reader.got == [(b"one", 3), (b"", 0), (b"three", 5)]
    assert (reader.sock.received, reader.sock.bytes_received) == (3, 8)
