"""A relayed transport address on a real socket: what the core's `Relay` is made of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from atmosphere.turn.server.flow import Address
from atmosphere.turn.server.host import Receive
from atmosphere.udp.options import MTU_DISCOVER
from atmosphere.udp.socket import UdpSocket
from atmosphere.udp.window import Parts, Window

DONT_FRAGMENT = sys.platform == "linux"
"""The DF bit of single datagrams is set by a socket option, which Linux has for both families."""
_DONT, _DO = 0, 2


class RelayedSocket:
    """One relayed address. `on_close(socket)` gets it when it ends, whose counters are then final."""

    __slots__ = ("_loop", "_on_close", "_receive", "sock")

    def __init__(
        self, local: str, port: int, window: Window, receive: Receive, on_close: Callable[[RelayedSocket], None]
    ) -> None:
        """Open it, to be read into `window`; raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._on_close = on_close
        self.sock = UdpSocket.bind(local, port)
        # A datagram without DONT-FRAGMENT leaves without the DF bit (RFC 8656 §15), and no ICMP message that somebody
        # forged can make the kernel believe in a small MTU.
        self._fragment(True)
        self.sock.read_into(window, self._arrived)

    def _arrived(self, window: Window, size: int, segment: int, source: Address) -> None:
        self._receive(window, size, segment, source, self._loop.time())

    def send(self, parts: Parts, segment: int, peer: Address, whole: bool) -> None:
        """As in `host.Relay`; this user's socket is its queue, so what it does not take is dropped."""
        if whole:
            self._fragment(False)
        self.sock.send_pieces(parts, segment, len(parts), peer)
        if whole:
            self._fragment(True)

    def _fragment(self, allowed: bool) -> None:
        if DONT_FRAGMENT and not self.sock.closed:
            self.sock.set_option(*MTU_DISCOVER[self.sock.family], _DONT if allowed else _DO)

    def close(self) -> None:
        """Free the port."""
        self.sock.close()
        self._on_close(self)
