"""What the core asks of the program around it: sockets to relay from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from atmosphere.turn.server.flow import Address, Flow, Payload

Receive = Callable[[bytes, int, Address, float], None]
"""Takes a burst from a peer: its bytes, the size of one datagram, the source, and `now`."""


class Relay(Protocol):
    """One open UDP socket."""

    def send(self, parts: Sequence[Payload], peer: Address, whole: bool) -> None:
        """Send datagrams to a peer; `whole`: with the DF bit set. Never raises: what cannot go is dropped."""
        ...

    def close(self) -> None:
        """Free the port."""
        ...


class Host(Protocol):
    """The program."""

    dont_fragment: bool
    """Whether datagrams can be sent with the DF bit set (RFC 8656 §18.9)."""

    def open(self, local: str, port: int, receive: Receive) -> Relay:
        """A socket on a local address and port. Raises OSError, with EADDRINUSE where somebody else has it."""
        ...

    def ended(self, flow: Flow) -> None:
        """The flow's allocation is over."""
        ...
