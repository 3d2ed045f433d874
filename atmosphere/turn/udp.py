"""The UDP way to a TURN server, which carries bursts: to its protocol it is what a transport of asyncio's is."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any, Protocol

from atmosphere.udp.options import enlarge
from atmosphere.udp.socket import BUFFER_SIZE, UdpSocket

Address = tuple[str, int]


class BurstProtocol(Protocol):
    """Who is told; a burst is datagrams end to end, each `segment` bytes but the last."""

    def connection_made(self, transport: Any, /) -> None:
        """The socket is open."""

    def burst_received(self, data: bytes, segment: int) -> None:
        """The server sent this."""

    def error_received(self, exc: Exception) -> None:
        """The system says that something did not arrive, or could not leave."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket was closed."""


class UdpTransport:
    """A socket connected to the server, so that the system tells when nobody is there."""

    def __init__(self, sock: UdpSocket, server: Address, protocol: BurstProtocol) -> None:
        self._socket = sock
        self._server = server
        self._protocol = protocol
        sock.on_burst = lambda data, segment, _source: protocol.burst_received(data, segment)
        sock.on_error = protocol.error_received
        protocol.connection_made(self)

    def sendto(self, data: bytes, _destination: Address | None = None) -> None:
        """Send one datagram; what the system does not take is lost."""
        self._socket.send(data, self._server)

    def send_burst(self, data: bytes, segment: int, count: int) -> int:
        """Send `count` datagrams end to end; how many are done with (see `UdpSocket.send_pieces`)."""
        return self._socket.send_pieces((data,), segment, count, self._server)

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once there is room for what `send_burst` did not take."""
        self._socket.when_writable(callback)

    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._socket.closed

    def close(self) -> None:
        """Free the port; the protocol hears of it a turn of the loop later. Twice is fine."""
        if not self._socket.closed:
            self._socket.close()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`sockname` and `peername`; of others nothing is known."""
        return {"sockname": (self._socket.address, self._socket.port), "peername": self._server}.get(name, default)


def can_connect() -> bool:
    """Whether this system lets a connected socket name its destination, as `UdpSocket` does."""
    return sys.platform == "linux"


def open_udp(server: Address, protocol: BurstProtocol) -> UdpTransport:
    """A socket for `server` (a literal address and a port); raises OSError."""
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        enlarge(sock, BUFFER_SIZE)
        sock.connect(server)
        return UdpTransport(UdpSocket(sock), server, protocol)
    except BaseException:
        sock.close()
        raise
