"""STUN transactions over one UDP socket: the shell around `stun.client`, with the loop's clock.

Await `ask(…)` for one answer; any number may be under way. Datagrams that answer nothing go to `on_other`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.stun.client import BindingTransaction, Transaction
from atmosphere.stun.message import decode, is_stun
from atmosphere.udp.socket import UdpSocket

Address = tuple[str, int]


def _ignore(data: bytes, source: Address) -> None:
    """Stand in for a receiver until somebody assigns one."""


class Exchange:
    """Runs transactions on `socket`, which it owns from now on and closes with itself."""

    def __init__(self, socket: UdpSocket) -> None:
        self.socket = socket
        self.on_other: Callable[[bytes, Address], None] = _ignore
        self._loop = asyncio.get_running_loop()
        self._running: dict[bytes, tuple[Transaction, asyncio.Future[None]]] = {}
        self._timers: dict[bytes, asyncio.TimerHandle] = {}
        socket.on_datagram = self._received

    async def ask(
        self,
        server: Address,
        *,
        timeout: float,
        rto: float = 0.3,
        attributes: dict[str, Any] | None = None,
        any_source: bool = False,
    ) -> BindingTransaction:
        """The finished Binding transaction with `server`: look at `.mapped` and `.error`. Never raises."""
        transaction = BindingTransaction(
            server, self._loop.time(), timeout=timeout, rto=rto, attributes=attributes, any_source=any_source
        )
        await self.run(transaction)
        return transaction

    async def run(self, transaction: Transaction) -> None:
        """Carry `transaction` to its end."""
        if self.socket.closed:
            transaction.fail("the socket is closed")
            return
        key, over = transaction.transaction_id, self._loop.create_future()
        self._running[key] = (transaction, over)
        try:
            self._pump(key)
            await over
        finally:
            self._running.pop(key, None)
            if timer := self._timers.pop(key, None):
                timer.cancel()

    def close(self) -> None:
        """Close the socket; what is under way ends with an error."""
        self.socket.close()
        for transaction, over in list(self._running.values()):
            transaction.fail("the socket is closed")
            self._finish(over)

    def _pump(self, key: bytes) -> None:
        """Send what is due and come back when the transaction says."""
        transaction, over = self._running[key]
        if datagram := transaction.poll(self._loop.time()):
            errors = self.socket.errors
            self.socket.send(datagram, transaction.server)
            if self.socket.errors > errors:
                transaction.fail(_reason(self.socket.last_error))
        if transaction.next_at is None:
            self._finish(over)
        else:
            self._timers[key] = self._loop.call_at(transaction.next_at, self._pump, key)

    def _received(self, data: bytes, source: Address) -> None:
        if is_stun(data) and (found := self._running.get(data[8:20])):
            try:
                message = decode(data)
            except DecodeError:
                return
            transaction, over = found
            if transaction.receive(message, source, self._loop.time()):
                self._finish(over)
        else:
            self.on_other(data, source)

    @staticmethod
    def _finish(over: asyncio.Future[None]) -> None:
        if not over.done():
            over.set_result(None)


def _reason(error: Exception | None) -> str:
    return (getattr(error, "strerror", None) or str(error) or "it cannot be sent").lower()
