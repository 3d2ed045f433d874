"""A socket that many users send through: at once while the kernel takes it, else from fair queues."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from atmosphere.turn.server.fair import FairQueues
from atmosphere.turn.server.flow import Address, Payload
from atmosphere.udp.socket import UdpSocket


class Outlet:
    """Sends bursts; `dropped` counts the datagrams that found no room."""

    def __init__(self, sock: UdpSocket, each: int, in_all: int) -> None:
        self.sock = sock
        self.dropped = 0
        self._queues: FairQueues[Hashable] = FairQueues(each, in_all)

    @property
    def queued(self) -> int:
        """Bytes that wait."""
        return self._queues.size

    def send(self, key: Hashable, parts: Sequence[Payload], destination: Address) -> None:
        """Send a burst of the user `key`, or let it wait; never blocks."""
        if not self._queues:
            done = self.sock.send_burst(parts, destination)
            if done == len(parts):
                return
            parts = parts[done:]
            self.sock.when_writable(self._drain)
        if not self._queues.put(key, parts, destination):
            self.dropped += len(parts)

    def _drain(self) -> None:
        while (found := self._queues.take()) is not None:
            key, parts, destination = found
            done = self.sock.send_burst(parts, destination)
            if done < len(parts):
                self._queues.put_back(key, parts[done:], destination)
                self.sock.when_writable(self._drain)
                return
