"""Whether our NAT still serves others while a search goes on: a STUN server is asked once a second, from a new socket.

A new one, since that is what fails first: a table that is full, or a limit on new flows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from atmosphere.errors import DecodeError
from atmosphere.ice.hardnat.sockets import OpenSockets
from atmosphere.stun.message import Message, binding_request, decode, encode

__all__ = ["INTERVAL", "Control"]

INTERVAL = 1.0

Address = tuple[str, int]


class Control:
    """Asks `server` until it is closed; each question ends in `answered` or `unanswered`."""

    def __init__(
        self, address: str, server: Address, answered: Callable[[], None], unanswered: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._address, self._server = address, server
        self._answered, self._unanswered = answered, unanswered
        self._sockets: OpenSockets | None = None
        self._request: Message = binding_request()
        self._timer: asyncio.TimerHandle | None = None
        self._ask()

    def close(self) -> None:
        """Ask no more. Twice is fine."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    def _ask(self) -> None:
        self._request = binding_request()
        self._sockets = OpenSockets(self._address, 1, self._received)
        self._sockets.send(0, encode(self._request), self._server)
        self._timer = self._loop.call_later(INTERVAL, self._judge)

    def _judge(self) -> None:
        if self._sockets is not None:
            self._sockets.close()
            self._unanswered()
        self._ask()

    def _received(self, number: int, data: bytes, source: Address) -> None:
        try:
            answer = decode(data)
        except DecodeError:
            return
        if source == self._server and answer.transaction_id == self._request.transaction_id and self._sockets:
            self._sockets.close()
            self._sockets = None
            self._answered()
