"""ICE over TCP for one endpoint: its passive candidates, the connections that come, the bases of those that stand.

A connection that comes in is a stranger's until its first datagram is an authentic check for a session or a listener of
ours; of strangers there are so many, for a few seconds, and not one more. From then on the connection is that one
session's.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from atmosphere.errors import DecodeError
from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.pair import can_pair
from atmosphere.ice.tcp_candidates import passive_beyond, passive_connection, remote_active, tcp_host
from atmosphere.ice.tcp_connection import TcpConnection
from atmosphere.ice.tcp_doors import Doors
from atmosphere.ice.tcp_mapping import TcpMapping, reusable_socket
from atmosphere.ice.tcp_paths import TcpPaths
from atmosphere.stun.message import Class, Message, Method, decode
from atmosphere.tasks import Tasks
from atmosphere.tcp.undecided import Accepted
from signaling.limits import Seats, address_key

if TYPE_CHECKING:
    from atmosphere.ice.session import IceSession

__all__ = ["TcpHost"]

logger = logging.getLogger(__name__)

STRANGERS, STRANGERS_OF_ONE = 128, 16
STRANGER_SECONDS = 5.0
CONNECTIONS, CONNECTIONS_OF_ONE = 1024, 32
"""Of all sessions together, and of those that one peer begins: each costs a file descriptor."""
MAX_WAITING, MAX_WAITING_OF_ONE = 64, 4
"""Candidates for simultaneous-open that wait until we know one of our own, and those of one session."""
BASES_FROM = 1 << 32
"""Their bases have numbers that no socket or relay gets."""

Address = tuple[str, int]


class Switchboard(Protocol):
    """What it needs of the mux."""

    def session_for(self, username: str, message: Message, source: Address) -> IceSession | None:
        """Whose a check is that comes from `source`."""

    def receive(self, base: Base, data: bytes, source: Address) -> bool:
        """A datagram came to a base."""


class TcpHost:
    """`port` is the node's TCP port, 0 for none; `others` are the bases that are no TCP connections.

    With `bind` connections leave from exactly these addresses, and from the system's choice otherwise; one that is
    `hidden` makes none, since the other side would see an address of ours.
    """

    def __init__(
        self, switchboard: Switchboard, others: Mapping[int, Base], *, bind: bool, hidden: bool = False
    ) -> None:
        self.tasks = Tasks("ice tcp")
        self.port = 0
        self.dropped = 0
        """Connections of strangers that were refused, said nothing in time, or nothing that is for us."""
        self.bases: dict[int, Base] = {}
        self._connections: dict[int, TcpConnection] = {}
        self._switchboard = switchboard
        self._others = others
        self._bind, self._hidden = bind, hidden
        self._external: dict[str, Address] = {}
        self.mapping = TcpMapping(self.tasks, self._mapped)
        self.on_candidates: Callable[[list[Candidate]], None] = lambda found: None
        self._waiting: deque[tuple[IceSession, Candidate]] = deque(maxlen=MAX_WAITING)
        self._numbers = iter(range(BASES_FROM, BASES_FROM << 16))
        self._seats = Seats(STRANGERS, STRANGERS_OF_ONE)
        self._strangers: set[TcpConnection] = set()
        self._doors = Doors()
        self._places = Seats(CONNECTIONS, CONNECTIONS_OF_ONE)
        self._placed: dict[int, str] = {}

    async def close(self) -> None:
        """Cut the strangers; sessions end their own connections."""
        self.port = 0
        for stranger in tuple(self._strangers):
            stranger.close()
        await self.tasks.close()
        self.mapping.close()

    def address_gone(self, local: str) -> None:
        """This machine does not have that address any more: no packet of its connections will come back."""
        self.mapping.forget(local)
        for base in [base for base in self.bases.values() if base.candidate.address == local]:
            self._connections[base.id].close("the local address went away")

    # candidates

    def hosts(self) -> list[Base]:
        """The UDP bases of this machine's addresses."""
        return [base for base in self._others.values() if base.candidate.type == "host"]

    def map(self, local: str, external: Address | None) -> list[Candidate]:
        """A router leads `external` to the port on the address `local`, or (None) does so no more; what is new."""
        if external is None:
            self._external.pop(local, None)
            return []
        self._external[local] = external
        host = next((base for base in self.hosts() if base.candidate.address == local), None)
        return [one for one in self.candidates_of(host) if one.endpoint == external] if host is not None else []

    def candidates(self) -> list[Candidate]:
        """What peers can connect to."""
        return [candidate for base in self.hosts() for candidate in self.candidates_of(base)]

    def candidates_of(self, base: Base) -> list[Candidate]:
        """Those on the address of a socket's base.

        Where a NAT leaves ports as they are, that may be a machine whose public address is its own all but in name, so
        the TCP port is likely to be reached there too.
        """
        if not self.port:
            return []
        host = tcp_host(base.candidate, "passive", self.port)
        kept = [one.endpoint for one in base.reflexive.values() if one.port == base.candidate.port == self.port]
        mapped = self.mapping.known.get(base.candidate.address)
        if mapped is not None and mapped.port == mapped.external[1]:
            kept.append((mapped.external[0], self.port))
        external = self._external.get(base.candidate.address)
        beyond = dict.fromkeys([*kept, *([external] if external else [])])
        return [host, *(passive_beyond(host, endpoint) for endpoint in beyond), *self._simultaneous(base)]

    def _simultaneous(self, base: Base) -> list[Candidate]:
        """Where both sides can connect at once, through routers that map a TCP port alike for everybody."""
        mapped = self.mapping.known.get(base.candidate.address)
        if mapped is None:
            return []
        return [passive_beyond(tcp_host(base.candidate, "so", mapped.port), mapped.external, "so")]

    def seek(self) -> None:
        """Learn where TCP is let out, as UDP tells us nothing: no server answers over it."""
        hosts = self.hosts()
        if not self._hidden and not any(base.reflexive for base in hosts):
            self.mapping.want(base.candidate.address for base in hosts)

    def _mapped(self, local: str) -> None:
        for base in self.hosts():
            if base.candidate.address == local:
                self.on_candidates(self.candidates_of(base)[1:])
        waiting, self._waiting = self._waiting, deque(maxlen=MAX_WAITING)
        for session, remote in waiting:
            if not session.is_over:
                self.add_remote(session, remote)

    def add_remote(self, session: IceSession, remote: Candidate) -> None:
        """The remote of a session can be connected to."""
        if self._hidden or not remote.is_usable or any(remote.endpoint == own.endpoint for own in self.candidates()):
            return
        ours = [tcp_host(base.candidate, "active") for base in self.hosts()]
        if remote.tcp_type == "so":
            ours = self._ours_at_once()
        local = max((one for one in ours if can_pair(one, remote)), key=lambda one: one.priority, default=None)
        if local is not None:
            if self._doors.admits(_peer_of(session), remote.endpoint, asyncio.get_running_loop().time()):
                self._paths(session).add_remote(local, remote)
        elif remote.tcp_type == "so" and sum(one is session for one, _ in self._waiting) < MAX_WAITING_OF_ONE:
            self._waiting.append((session, remote))

    def _ours_at_once(self) -> list[Candidate]:
        """From where we can connect while the remote does; what is not known, or not fresh, is asked for."""
        self.mapping.want(base.candidate.address for base in self.hosts())
        known = self.mapping.known
        hosts = [base.candidate for base in self.hosts() if base.candidate.address in known]
        return [tcp_host(host, "so", known[host.address].port) for host in hosts]

    def _paths(self, session: IceSession) -> TcpPaths:
        if session.tcp is None:
            session.tcp = TcpPaths(session, self)
        return session.tcp

    # connections that come

    def accept(self, accepted: Accepted) -> asyncio.Protocol:
        """The protocol for a connection whose first bytes look like a check."""
        connection, key = TcpConnection(), address_key(accepted.client[0])
        if self._seats.take(key):
            self.dropped += 1
            connection.close()
            return connection
        self._strangers.add(connection)
        timer = asyncio.get_running_loop().call_later(STRANGER_SECONDS, connection.close)
        connection.on_end = partial(self._settled, connection, key, timer, known=False)
        connection.on_datagram = partial(self._first, connection, key, timer, accepted)
        return connection

    def _settled(
        self, connection: TcpConnection, key: str, timer: asyncio.TimerHandle, reason: str = "", *, known: bool
    ) -> None:
        timer.cancel()
        self._strangers.discard(connection)
        self._seats.leave(key)
        self.dropped += not known

    def _first(
        self, connection: TcpConnection, key: str, timer: asyncio.TimerHandle, accepted: Accepted, datagram: bytes
    ) -> None:
        message = _check(datagram)
        known = self._session_of(message, accepted.client) if message is not None else None
        if message is None or known is None or self._places.take(_peer_of(known)):
            connection.close()
            return
        self._settled(connection, key, timer, known=True)
        local = passive_connection(accepted.local, [base.candidate for base in self.hosts()])
        remote = remote_active(accepted.client, message.attributes["PRIORITY"])
        base = self._paths(known).adopt(connection, local, remote, is_ours=False)
        self._placed[base.id] = _peer_of(known)
        self.receive(base, datagram, accepted.client)

    def _session_of(self, check: Message, source: Address) -> IceSession | None:
        if self._hidden or len(self.bases) >= CONNECTIONS:
            return None
        session = self._switchboard.session_for(check.attributes["USERNAME"], check, source)
        return session if session is not None and session.is_authentic(check) else None

    # what the connections of a session need

    def enter(self, candidate: Candidate, connection: TcpConnection) -> Base:
        """A new base for a connection."""
        base = Base(next(self._numbers), candidate, connection.send)
        self.bases[base.id] = base
        self._connections[base.id] = connection
        return base

    def leave(self, base: Base) -> None:
        """It is gone."""
        self.bases.pop(base.id, None)
        self._connections.pop(base.id, None)
        peer = self._placed.pop(base.id, None)
        if peer is not None:
            self._places.leave(peer)

    def receive(self, base: Base, datagram: bytes, source: Address) -> None:
        """A datagram came."""
        self._switchboard.receive(base, datagram, source)

    def open_socket(self, local: Candidate, remote: Candidate) -> socket.socket:
        """A socket to connect from `local` to `remote`; raises OSError."""
        if local.tcp_type == "so":
            return reusable_socket(local.address, local.port)
        sock = socket.socket(socket.AF_INET6 if remote.family == 6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if self._bind:
                sock.bind((local.address, 0))
        except OSError:
            sock.close()
            raise
        return sock


def _peer_of(session: IceSession) -> str:
    """Whom a session is with: the fragment of the side that was dialed stays the same between the two."""
    return session.remote_ufrag if session.dialer_ufrag == session.local_ufrag else session.local_ufrag


def _check(datagram: bytes) -> Message | None:
    """The check in a stranger's first datagram; None for anything else."""
    try:
        message = decode(datagram)
    except DecodeError:
        return None
    is_check = (message.message_method, message.message_class) == (Method.BINDING, Class.REQUEST)
    return message if is_check and "USERNAME" in message.attributes else None
