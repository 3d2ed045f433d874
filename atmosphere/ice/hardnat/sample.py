"""The ports that our NAT gives to fresh sockets, one after another: asked of a STUN server just before a search."""

from __future__ import annotations

import asyncio
import contextlib

from atmosphere.errors import DecodeError
from atmosphere.ice.hardnat.sockets import OpenSockets
from atmosphere.stun.message import binding_request, decode, encode, mapped_address

__all__ = ["SAMPLES", "sample_ports"]

SAMPLES = 6
"""Sockets: enough to tell a sequence, which other flows run through, from chance."""
SPACING = 0.004
"""Seconds between two, so that the NAT sees them in order."""
PATIENCE = 1.5
AGAIN = 0.5
"""Seconds until those unanswered ask once more, which moves no mapping."""

Address = tuple[str, int]


async def sample_ports(address: str, server: Address, patience: float = PATIENCE) -> list[tuple[int, int]]:
    """(local port, public port) of fresh sockets on `address`, in the order in which they asked; those that `server`
    did not answer within `patience` seconds are left out."""
    asking = _Sample(address, server)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await asking.ask()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN):
                        await asking.complete.wait()
                await asking.ask()
                await asking.complete.wait()
    finally:
        asking.sockets.close()
    return [(asking.sockets.ports[number], asking.seen[number]) for number in sorted(asking.seen)]


class _Sample:
    def __init__(self, address: str, server: Address) -> None:
        self._server = server
        self.seen: dict[int, int] = {}
        self.complete = asyncio.Event()
        self.sockets = OpenSockets(address, SAMPLES, self._received)
        self._requests = [binding_request() for _ in range(len(self.sockets))]
        if not self._requests:
            self.complete.set()

    async def ask(self) -> None:
        for number, request in enumerate(self._requests):
            if number not in self.seen:
                self.sockets.send(number, encode(request), self._server)
                await asyncio.sleep(SPACING)

    def _received(self, number: int, data: bytes, source: Address) -> None:
        try:
            answer = decode(data)
        except DecodeError:
            return
        mapped = mapped_address(answer)
        is_answer = source == self._server and answer.transaction_id == self._requests[number].transaction_id
        if is_answer and mapped and mapped[1]:  # no NAT gives port 0, and no peer takes it from us
            self.seen[number] = mapped[1]
            if len(self.seen) == len(self._requests):
                self.complete.set()
