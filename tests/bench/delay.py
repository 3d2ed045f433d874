"""A long way in one process: every UDP datagram leaves it later, those of aiortc as those of ours."""

from __future__ import annotations

import asyncio
from asyncio import selector_events
from collections.abc import Sequence
from typing import Any

from atmosphere.udp.socket import UdpSocket
from atmosphere.udp.window import Buffer

Address = tuple[str, int]


def delay(seconds: float) -> None:
    """From now on; TCP is left alone, and so is what relays and servers send from other processes."""
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
    transport: Any = vars(selector_events)["_SelectorDatagramTransport"]
    sendto = transport.sendto

    def sendto_later(self: Any, data: bytes, addr: Address | None = None) -> None:
        asyncio.get_running_loop().call_later(seconds, send, self, bytes(data), addr)

    def send(self: Any, data: bytes, addr: Address | None) -> None:
        if not self.is_closing():
            sendto(self, data, addr)

    transport.sendto = sendto_later
