"""A long way in one process: whatever it says leaves it later, UDP and TCP, aiortc's as ours.

Two such processes are two delays of a round trip from each other. A server between them, whose own process has no
delay, is half as far from either as they are from each other.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import selector_events
from collections.abc import Sequence
from typing import Any

from atmosphere.udp.socket import UdpSocket
from atmosphere.udp.window import Buffer

Address = tuple[str, int]


def delay(seconds: float) -> None:
    """From now on."""
    _delay_ours(seconds)
    _delay_datagrams(seconds)
    _delay_tcp(seconds)


def _delay_ours(seconds: float) -> None:
    send_one = UdpSocket._send_one

    def later(sock: UdpSocket, data: Buffer, destination: Address) -> bool:
        asyncio.get_running_loop().call_later(seconds, send_one, sock, bytes(data), destination)
        return True

    def pieces_later(sock: UdpSocket, pieces: Sequence[Buffer], segment: int, count: int, destination: Address) -> int:
        whole = b"".join(pieces)
        for start in range(0, len(whole), segment):
            later(sock, whole[start : start + segment], destination)
        return count

    UdpSocket._send_one = later  # type: ignore[method-assign, assignment]
    UdpSocket.send_pieces = pieces_later  # type: ignore[method-assign, assignment]


def _delay_datagrams(seconds: float) -> None:
    transport: Any = vars(selector_events)["_SelectorDatagramTransport"]
    sendto = transport.sendto

    def sendto_later(self: Any, data: bytes, addr: Address | None = None) -> None:
        asyncio.get_running_loop().call_later(seconds, send, self, bytes(data), addr)

    def send(self: Any, data: bytes, addr: Address | None) -> None:
        if not self.is_closing():
            sendto(self, data, addr)

    transport.sendto = sendto_later


def _delay_tcp(seconds: float) -> None:
    transport: Any = vars(selector_events)["_SelectorSocketTransport"]
    write = transport.write

    def write_later(self: Any, data: Buffer) -> None:
        asyncio.get_running_loop().call_later(seconds, send, self, bytes(data))

    def writelines_later(self: Any, pieces: Sequence[Buffer]) -> None:
        write_later(self, b"".join(pieces))

    def send(self: Any, data: bytes) -> None:
        if not self.is_closing():
            write(self, data)

    transport.write, transport.writelines = write_later, writelines_later
    loop: Any = selector_events.BaseSelectorEventLoop
    connect = loop.sock_connect

    async def connect_later(self: Any, sock: socket.socket, address: Any) -> None:
        await asyncio.sleep(seconds)  # there and back: only the way there is long
        await connect(self, sock, address)

    loop.sock_connect = connect_later
