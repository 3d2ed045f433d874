"""A STUN server on real sockets: tells whoever asks how it sees them."""

from __future__ import annotations

import asyncio
import logging

from atmosphere.stun.server import BindingServer
from atmosphere.udp.socket import UdpSocket

logger = logging.getLogger(__name__)


class StunService:
    """STUN Binding over UDP (RFC 8489) on `host` and `port`; `await start()`, `await stop()`, or `async with`.

    Without `host` it listens on IPv4 and, where there is one, IPv6. `port` 0 takes a free one; `.port` tells which.
    On a machine with several addresses of a family name the one that clients use, or they may be answered from another.
    """

    def __init__(self, host: str | None = None, port: int = 3478) -> None:
        self.host = host
        self.port = port
        self._server = BindingServer()
        self._sockets: list[UdpSocket] = []

    @property
    def answered(self) -> int:
        """Requests answered so far."""
        return self._server.answered

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken or the address is not ours."""
        self._listen(self.host or "0.0.0.0")  # noqa: S104 - a public server
        if self.host is None:
            try:
                self._listen("::")
            except OSError as error:
                logger.info("no STUN over IPv6: %s", error)
        logger.info("STUN on port %d", self.port)

    async def stop(self) -> None:
        """Stop listening. Twice is fine."""
        for socket in self._sockets:
            socket.close()
        self._sockets.clear()

    async def __aenter__(self) -> StunService:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _listen(self, host: str) -> None:
        socket = UdpSocket.bind(host, self.port)
        self.port = socket.port
        loop = asyncio.get_running_loop()

        def received(data: bytes, source: tuple[str, int]) -> None:
            answer = self._server.receive(data, source, loop.time())
            if answer is not None:
                socket.send(answer, source)

        socket.on_datagram = received
        self._sockets.append(socket)
