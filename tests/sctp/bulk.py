"""A channel over a network in memory that always has something to send, and what of it arrives."""

from __future__ import annotations

from typing import Any

from atmosphere.sctp.interface import ChannelOptions
from tests.sctp.network import Network

MESSAGE = bytes(65536)


class Bulk:
    """One reliable, ordered channel from `network.one` to the other; `arrived` counts bytes of whole messages."""

    def __init__(self, network: Network, ahead: int = 4_000_000) -> None:
        self.network = network
        self.arrived = 0
        self._ahead = ahead
        self._handle = network.one.association.channels.open(ChannelOptions())
        network.other.collect = False
        network.other.react = self._came

    def run(self, seconds: float) -> float:
        """Go on for so long; the bytes a second that arrived meanwhile."""
        network, before, start = self.network, self.arrived, self.network.now
        queue = network.one.association.channels._queue
        while network.now < start + seconds:
            if queue.buffered_of(self._handle) < self._ahead // 2:
                while queue.buffered_of(self._handle) < self._ahead:
                    network.one.send(self._handle, MESSAGE)
                network.settle()
            if not network.step():
                raise AssertionError("nothing happens any more")
        return (self.arrived - before) / (network.now - start)

    def _came(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "on_message":
            self.arrived += len(arguments[1])
