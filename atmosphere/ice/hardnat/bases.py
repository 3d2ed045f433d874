"""Sockets that belong to one session each: those that a search has found. Bounded, and closed with their session.

A link that goes on over another session takes them along: what a search found is a mapping of that very socket.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from functools import partial

from atmosphere.ice.base import Base, socket_base
from atmosphere.ice.events import Transmit
from atmosphere.ice.mux import Mux
from atmosphere.ice.session import IceSession
from atmosphere.udp.socket import BUFFER_SIZE, UdpSocket

__all__ = ["MAX_EXTRA", "MAX_EXTRA_OF_ONE", "ExtraBases"]

logger = logging.getLogger(__name__)

MAX_EXTRA, MAX_EXTRA_OF_ONE = 64, 2
"""Of a node and of one session; where there are more of one session, its oldest goes."""

PREFERENCE = 0
"""Below every socket of the node's own: where a pair of those works too, it is the better one."""

Address = tuple[str, int]


class ExtraBases:
    """Takes sockets over for sessions; `number` gives each base its number."""

    def __init__(self, mux: Mux, number: Callable[[], int]) -> None:
        self._mux = mux
        self._number = number
        self._owned: dict[IceSession, list[tuple[Base, UdpSocket]]] = {}
        mux.on_release = self.release

    def __len__(self) -> int:
        return sum(map(len, self._owned.values()))

    def adopt(self, session: IceSession, raw: socket.socket, heard_from: Address) -> Base | None:
        """Make a bound socket, which `heard_from` answered, a base of that session alone; None where there are too
        many, or the session is over. The socket is ours from now on, or closed."""
        if session.is_over or len(self) >= MAX_EXTRA:
            raw.close()
            return None
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            raw.setsockopt(socket.SOL_SOCKET, option, BUFFER_SIZE)
        sock = UdpSocket(raw)
        base = socket_base(self._number(), sock, PREFERENCE)
        base.socket, base.shared = None, False
        sock.on_burst = partial(self._received, base)
        self._mux.spoke_to(Transmit(base.id, b"", heard_from))
        self._give(session, base, sock)
        return base

    def _give(self, session: IceSession, base: Base, sock: UdpSocket) -> None:
        owned = self._owned.setdefault(session, [])
        owned.append((base, sock))
        if len(owned) > MAX_EXTRA_OF_ONE:
            self._drop(*owned.pop(0))
        self._mux.add_base_of(session, base)
        logger.info("%r: %s port %d serves it too", session, sock.address, sock.port)

    def release(self, session: IceSession) -> None:
        """The session is over: its sockets serve the latest other one of its link, or nobody."""
        kin = [] if session.kin is None else [one for one in session.kin.sessions if not one.is_over]
        for base, sock in self._owned.pop(session, []):
            if kin:
                self._give(kin[0], base, sock)
            else:
                self._drop(base, sock)

    def address_gone(self, address: str) -> None:
        """The machine has that address no more."""
        for session, owned in list(self._owned.items()):
            for one in [one for one in owned if one[1].address == address]:
                owned.remove(one)
                self._drop(*one)
            if not owned:
                self._owned.pop(session, None)

    def close(self) -> None:
        """Close them all."""
        for session in list(self._owned):
            for base, sock in self._owned.pop(session):
                self._drop(base, sock)

    def _received(self, base: Base, data: bytes, segment: int, source: Address) -> None:
        self._mux.receive_burst(base, data, segment, source)

    def _drop(self, base: Base, sock: UdpSocket) -> None:
        sock.close()
        self._mux.remove_base(base.id)
