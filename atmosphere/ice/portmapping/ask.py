"""Questions to one router over UDP: sent again until answered, other hosts' datagrams ignored. I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.model import Address, NoMapping
from atmosphere.udp.socket import UdpSocket

__all__ = ["Asker"]

T = TypeVar("T")

WAITS = (0.25, 0.5, 1.0)
"""Seconds to wait after each send. RFC 6886 waits 250 ms first too; RFC 6887's 3 s is for networks, not for a LAN."""


class Asker:
    """A socket on our `address` for one `router`. `ask` may run several times at once; `close` ends them."""

    def __init__(self, address: str, router: Address) -> None:
        """Raises NoMapping when the address is gone."""
        self._router = router
        self._peer = (router[0].partition("%")[0], router[1])
        self._waiting: list[Callable[[bytes], None]] = []
        try:
            self._socket = UdpSocket.bind(address)
        except OSError as error:
            raise NoMapping(f"{address} cannot be used: {error.strerror or error}", spoke=False) from None
        self._socket.on_datagram = self._received

    async def ask(self, request: bytes, take: Callable[[bytes], T | None], waits: Sequence[float] | None = None) -> T:
        """Send `request` until `take` has made something of an answer; it gives None or DecodeError for another's.

        `waits` are the seconds after each send.
        Raises NoMapping when the router stays silent.
        """
        answered: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def offer(data: bytes) -> None:
            found = take(data)
            if found is not None and not answered.done():
                answered.set_result(found)

        self._waiting.append(offer)
        try:
            for wait in WAITS if waits is None else waits:
                self._socket.send(request, self._router)
                await asyncio.wait([answered], timeout=wait)
                if answered.done():
                    return answered.result()
        finally:
            self._waiting.remove(offer)
            answered.cancel()
        raise NoMapping("no answer", spoke=False)

    def _received(self, data: bytes, source: tuple[Any, ...]) -> None:
        if (source[0].partition("%")[0], source[1]) != self._peer:
            return  # RFC 6886 §3.3, RFC 6887 §8.3: only the router's own word counts
        for offer in list(self._waiting):
            try:
                offer(data)
            except DecodeError:
                continue

    def close(self) -> None:
        """No more questions."""
        self._socket.close()
