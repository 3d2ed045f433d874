"""A socket that many users send through: at once while the kernel takes it, else from fair queues."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from atmosphere.turn.server.fair import FairQueues
from atmosphere.turn.server.flow import Address
from atmosphere.udp.socket import UdpSocket
from atmosphere.udp.window import Buffer


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

    def send(self, key: Hashable, pieces: Sequence[Buffer], segment: int, count: int, destination: Address) -> None:
        """Send a burst of the user `key` (see `UdpSocket.send_pieces`), or let it wait; never blocks."""
        done = 0
        if not self._queues:
            done = self.sock.send_pieces(pieces, segment, count, destination)
            if done >= count:
                return
            self.sock.when_writable(self._drain)
        rest = b"".join(pieces)[done * segment :]
        if not self._queues.put(key, (rest, segment, destination)):
            self.dropped += count - done

    def _drain(self) -> None:
        while (found := self._queues.take()) is not None:
            key, (data, segment, destination) = found
            count = -(-len(data) // segment) if segment else 1
            done = self.sock.send_pieces((data,), segment, count, destination)
            if done < count:
                self._queues.put_back(key, (data[done * segment :], segment, destination))
                self.sock.when_writable(self._drain)
                return
