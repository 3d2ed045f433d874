"""One TCP connection that carries datagrams (RFC 6544 §3): never waits, never buffers without bound.

What does not fit into a short queue is dropped, as a network drops it: whoever sends (SCTP) repeats it, and learns that
it was too fast.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import cast

from atmosphere.ice.tcp_framing import MAX_FRAME, Deframer, frame

__all__ = ["TcpConnection"]

logger = logging.getLogger(__name__)

MAX_WAITING = 256 * 1024
"""Bytes that wait for the kernel at most."""
MAX_UNSENT = 128 * 1024
"""Bytes that the kernel takes ahead of the network: what it holds delays everything behind."""
USER_TIMEOUT = 10_000
"""Milliseconds that sent bytes may go unacknowledged: consent has moved the path long before."""

Address = tuple[str, int]


def _ignore(datagram: bytes) -> None:
    """Stand in for a receiver until somebody assigns one."""


class TcpConnection(asyncio.Protocol):
    """Assign `on_datagram(datagram)` and `on_end(reason)`, which is called once, also after `close`.

    `dropped` counts datagrams that found the queue full.
    """

    def __init__(self) -> None:
        self.on_datagram: Callable[[bytes], None] = _ignore
        self.on_end: Callable[[str], None] = lambda reason: None
        self.dropped = 0
        self._deframer = Deframer()
        self._transport: asyncio.Transport | None = None
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether it ended, or was closed."""
        return self._is_over

    def send(self, datagram: bytes, destination: Address | None = None) -> None:
        """Send one datagram to whoever is at the other end; it may be lost."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._is_over or len(datagram) > MAX_FRAME:
            return
        if transport.get_write_buffer_size() + len(datagram) > MAX_WAITING:
            self.dropped += 1
            return
        transport.write(frame(datagram))

    def close(self, reason: str = "closed") -> None:
        """End it at once; what waits is lost. Twice is fine."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            self.on_end(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make it fast, and quick to notice that the other end is gone (asyncio.Protocol)."""
        self._transport = made = cast("asyncio.Transport", transport)
        sock = made.get_extra_info("socket")
        for name, value in (("TCP_NODELAY", 1), ("TCP_USER_TIMEOUT", USER_TIMEOUT), ("TCP_NOTSENT_LOWAT", MAX_UNSENT)):
            option = getattr(socket, name, None)
            if sock is not None and option is not None:
                _set(sock, option, value)
        if self._is_over:
            made.abort()

    def data_received(self, data: bytes) -> None:
        """Give the datagrams away (asyncio.Protocol)."""
        for datagram in self._deframer.feed(data):
            if self._is_over:
                return
            self.on_datagram(datagram)

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended (asyncio.Protocol)."""
        errno = exc.errno if isinstance(exc, OSError) else None
        self._end("the other side closed the connection" if errno is None else os.strerror(errno).lower())


def _set(sock: socket.socket, option: int, value: int) -> None:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    except OSError as error:
        logger.debug("option %d of TCP: %s", option, error)
