"""One client's 5-tuple (RFC 8656 §3.2), whatever carries it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from atmosphere.udp.window import Buffer

if TYPE_CHECKING:
    from atmosphere.turn.server.allocation import Allocation

Address = tuple[str, int]
Transport = Literal["udp", "tcp", "tls", "ws", "wss"]
Write = Callable[[Sequence[bytes]], None]
WriteBurst = Callable[[Sequence[Buffer], int, int], None]


class Flow:
    """Where one client is and how it is written to. Two flows are the same when they are the same object.

    `write(messages)` takes whole STUN or ChannelData messages, unpadded, a burst at once; it never blocks and never
    raises: what cannot go is dropped and counted by whoever made the flow. Where messages are datagrams,
    `write_burst(pieces, segment, count)` does the same for `count` messages of `segment` bytes, the last perhaps
    fewer, that lie end to end in pieces, which are good for this call only. `allocation` is the core's.
    """

    __slots__ = ("allocation", "client", "local", "transport", "write", "write_burst")

    def __init__(
        self,
        transport: Transport,
        client: Address,
        local: Address,
        write: Write,
        write_burst: WriteBurst | None = None,
    ) -> None:
        self.transport: Transport = transport
        self.client = client
        self.local = local
        self.write = write
        self.write_burst = write_burst
        self.allocation: Allocation | None = None

    def __repr__(self) -> str:
        return f"Flow({self.transport}, {self.client[0]!r}, {self.client[1]})"
