"""Two associations in one loop, and packets made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiortc.rtcsctptransport import Chunk, SackChunk, parse_packet, serialize_packet

from atmosphere.sctp.association import SctpAssociation
from atmosphere.sctp.interface import ChannelOptions
from atmosphere.sctp.transport import SctpTransport


class Log:
    """Everything an association told its owner."""

    def __init__(self) -> None:
        self.established = 0
        self.opened: list[tuple[int, ChannelOptions]] = []
        self.acknowledged: list[int] = []
        self.messages: list[tuple[int, bytes | str]] = []
        self.low: list[int] = []
        self.closed_channels: list[int] = []
        self.reason: str | None = None
        self.fail_on: bytes | str | None = None
        self.then: Callable[[int, bytes | str], None] = lambda handle, data: None

    def on_established(self) -> None:
        self.established += 1

    def on_channel_opened(self, handle: int, options: ChannelOptions) -> None:
        self.opened.append((handle, options))

    def on_open(self, handle: int) -> None:
        self.acknowledged.append(handle)

    def on_message(self, handle: int, data: bytes | str) -> None:
        if self.fail_on is not None and data == self.fail_on:
            raise RuntimeError("a faulty handler")
        self.messages.append((handle, data))
        self.then(handle, data)

    def on_buffered_low(self, handle: int) -> None:
        self.low.append(handle)

    def on_channel_closed(self, handle: int, reason: str) -> None:
        self.closed_channels.append(handle)

    def on_closed(self, reason: str) -> None:
        self.reason = reason


class Side:
    """One association whose packets wait in `out` until `carry` moves them."""

    def __init__(self, *, client: bool, first_id: int = 0) -> None:
        self.log = Log()
        self.out: list[bytes] = []
        self.association = SctpAssociation(client=client, send=self.out.append, events=self.log, first_id=first_id)

    @property
    def transport(self) -> SctpTransport:
        return self.association._transport

    def take(self) -> list[bytes]:
        taken, self.out[:] = self.out[:], []
        return taken

    def forge(self, chunk: Chunk, *, tag: int | None = None) -> bytes:
        """A packet that this side might have sent."""
        if tag is None:
            tag = self.transport._remote_verification_tag
        return serialize_packet(5000, 5000, tag, chunk)


async def carry(one: Side, other: Side, lose: Callable[[bytes], bool] = lambda packet: False) -> None:
    """Move packets until neither side has any."""
    quiet = 0
    while quiet < 3:
        moved = False
        for sender, receiver in ((one, other), (other, one)):
            for packet in sender.take():
                moved = True
                if not lose(packet):
                    receiver.association.receive(packet)
        await asyncio.sleep(0)
        quiet = 0 if moved else quiet + 1


async def two_sides() -> tuple[Side, Side]:
    one, other = Side(client=True), Side(client=False)
    one.association.start()
    other.association.start()
    await carry(one, other)
    assert one.association.established and other.association.established
    return one, other


def kinds(packets: list[bytes]) -> list[str]:
    return [type(chunk).__name__ for packet in packets for chunk in parse_packet(packet)[3]]


def report(packet: bytes) -> SackChunk:
    """The SACK in a packet."""
    (chunk,) = parse_packet(packet)[3]
    assert isinstance(chunk, SackChunk)
    return chunk
