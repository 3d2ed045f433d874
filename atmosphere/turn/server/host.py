"""What the core asks of the program around it: sockets to relay from. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atmosphere.turn.server.flow import Address, Flow
from atmosphere.udp.window import Parts, Window

Receive = Callable[[Window, int, int, Address, float], None]
"""Takes a burst from a peer: where it lies, its size, the size of one datagram, the source, and `now`."""


class Relay(Protocol):
    """One open UDP socket."""

    def send(self, parts: Parts, segment: int, peer: Address, whole: bool) -> None:
        """Send a burst to a peer; `whole`: with the DF bit set. Never raises: what cannot go is dropped.

        The parts have `segment` bytes each, the last perhaps fewer, and are good for this call only.
        """
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
