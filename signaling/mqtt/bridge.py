"""Joins the MQTT library to a connection of ours, by a pair of sockets inside this process.

The library would connect by itself, in a thread that nobody can cancel, and keep whatever a broker sends. So it gets
one end of a pair; between the other end and the broker are our own connection (asyncio's TCP and TLS, or websockets and
its proxies), the Sieve, and a pace, so that a flood costs neither memory nor more than a little of the processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from websockets.exceptions import ConnectionClosed

from signaling.errors import DecodeError
from signaling.limits import TokenBucket
from signaling.mqtt.sieve import Sieve
from signaling.mqtt.transport import CHUNK, Transport
from signaling.session import describe

PACE, BURST = 500_000.0, 2_000_000.0
"""Bytes a second and at once that are read from a broker; more wait at its side."""
GATHER = 0.005
"""Seconds between two reads: many small packets then cost one."""


class Bridge:
    """The pair; `near` is the library's end. `inward` and `outward` run until either side ends; `reason` says why."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.near, self._far = socket.socketpair()
        self._far.setblocking(False)
        self.reason = "the connection broke"
        self.spoken = asyncio.Event()
        """The library has said something, so it is ready to hear."""

    async def inward(self) -> None:
        """Carry what comes from the broker."""
        loop = asyncio.get_running_loop()
        sieve, pace = Sieve(loop.time()), TokenBucket(PACE, BURST, loop.time())
        try:
            while data := await self._transport.read():
                passed = sieve.feed(data, loop.time())
                if passed:
                    await loop.sock_sendall(self._far, passed)
                await asyncio.sleep(max(GATHER, pace.charge(loop.time(), len(data))))
            self.reason = "the broker closed the connection"
        except (OSError, ConnectionClosed, DecodeError) as error:
            self.reason = describe(error)
        with contextlib.suppress(OSError):
            self._far.shutdown(socket.SHUT_WR)

    async def outward(self) -> None:
        """Carry what the library sends, until it closes its end."""
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self._far, CHUNK):
                self.spoken.set()
                await self._transport.write(data)
            await self._transport.finish()
        except (OSError, ConnectionClosed) as error:
            self.reason = describe(error)

    def close(self) -> None:
        """End the connection and the pair."""
        self._transport.abort()
        self._far.close()
        if self.near.fileno() >= 0:  # the library has closed it already, unless its goodbye is stuck in it
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.near)  # or the loop would take the next file of this number for it
            loop.remove_writer(self.near)
            self.near.close()
