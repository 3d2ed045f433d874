"""A TURN server that only remembers what it was given, for connections of clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from atmosphere.turn.server.flow import Address, Flow, Transport, Write

BINDING = bytes.fromhex("00010000 2112a442") + bytes(12)
ANSWER = bytes.fromhex("01010000 2112a442") + bytes(12)
DATA = bytes.fromhex("00170000 2112a442") + bytes(12)
CHANNEL_DATA = b"\x40\x00\x00\x05hello"


class FakeService:
    """`received` is what came, by flow; `closed` are the flows that went."""

    def __init__(self) -> None:
        self.flows: list[Flow] = []
        self.received: list[bytes] = []
        self.closed: list[Flow] = []

    def open_flow(self, transport: Transport, client: Address, local: Address, write: Write) -> Flow:
        self.flows.append(Flow(transport, client, local, write))
        return self.flows[-1]

    def receive(self, flow: Flow, messages: Sequence[bytes]) -> None:
        assert flow not in self.closed
        self.received += messages

    def close_flow(self, flow: Flow) -> None:
        self.closed.append(flow)


def allocate(flow: Flow) -> None:
    """The flow has an allocation from now on."""
    flow.allocation = cast("Any", object())
