"""The TCP connections of one session: those it makes by its plan, and those that its remote makes (RFC 6544)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import IceEvent, PairReport, PathLost, PathSelected
from atmosphere.ice.tcp_connection import TcpConnection
from atmosphere.ice.tcp_plan import CONNECT_TIMEOUT, TcpPlan
from atmosphere.tasks import Tasks

if TYPE_CHECKING:
    from atmosphere.ice.session import IceSession

__all__ = ["TcpHome", "TcpPaths"]

logger = logging.getLogger(__name__)

PROVE = 10.0
"""Seconds that the remote has to answer a check over a connection."""
MAX_CONNECTIONS = 8
"""Of one session; a further one takes the place of one that proved nothing yet."""

Address = tuple[str, int]


class TcpHome(Protocol):
    """What the connections of a session need of the endpoint."""

    @property
    def tasks(self) -> Tasks:
        """Who owns what runs in the background."""

    def enter(self, candidate: Candidate, connection: TcpConnection) -> Base:
        """A new base for a connection."""

    def leave(self, base: Base) -> None:
        """It is gone."""

    def receive(self, base: Base, datagram: bytes, source: Address) -> None:
        """A datagram came."""

    def open_socket(self, local: Candidate, remote: Candidate) -> socket.socket:
        """A socket to connect from; raises OSError."""


@dataclass(eq=False)
class _Way:
    """One connection, where it leads, and the timer that ends it unless it is proven."""

    connection: TcpConnection
    base: Base
    remote: Candidate
    is_ours: bool
    timer: asyncio.TimerHandle | None = None


class TcpPaths:
    """Made by the endpoint's `TcpHost` when there is something to do; ends with its session."""

    def __init__(self, session: IceSession, home: TcpHome) -> None:
        self._session = session
        self._home = home
        self._loop = asyncio.get_running_loop()
        self._plan = TcpPlan(self._loop.time())
        self._plan.is_barred = session.policy == "relay"
        self._ways: list[_Way] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        if session.path_class is not None:
            self._plan.selected(session.path_class, self._loop.time())

    def __len__(self) -> int:
        return len(self._ways)

    def add_remote(self, local: Candidate, remote: Candidate) -> None:
        """Connect there from `local` when it is time."""
        if self._plan.add_remote(local, remote, self._loop.time()):
            self._arm()

    def report(self) -> list[PairReport]:
        """What is tried and has no connection now."""
        return self._plan.report()

    def heard(self, event: IceEvent) -> None:
        """The session tells what happened to its path."""
        now = self._loop.time()
        if isinstance(event, PathSelected):
            self._plan.selected(event.pair.path_class, now)
        elif isinstance(event, PathLost):
            self._plan.lost(now)
        if self._plan.is_direct:
            for task in self._opening:
                task.cancel()
        self._arm()

    def policy_changed(self) -> None:
        """No connection begins where only relays are to be used; one that is the path stays until there is another."""
        self._plan.is_barred = self._session.policy == "relay"
        self._arm()

    def close(self) -> None:
        """End them all."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._opening:
            task.cancel()
        for way in list(self._ways):
            way.connection.close("the session is over")

    # time

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._plan.deadline()
        if not self._is_over and deadline != float("inf"):
            self._timer = self._loop.call_at(deadline, self._look, deadline)

    def _look(self, armed: float) -> None:
        now = max(self._loop.time(), armed)
        if self._plan.has_no_need(now):
            for way in [way for way in self._ways if way.is_ours]:
                way.connection.close("UDP works")
        while (attempt := self._plan.take(now)) is not None:
            task = self._home.tasks.spawn(self._connect(*attempt), f"connect to {attempt[1].address}")
            if task is not None:
                self._opening.add(task)
                task.add_done_callback(partial(self._opened, attempt[1]))
        self._arm()

    # connections of ours

    def _opened(self, remote: Candidate, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if task.cancelled():  # perhaps before it began
            self._failed(remote, "UDP works" if self._plan.is_direct else "the session is over")

    async def _connect(self, local: Candidate, remote: Candidate) -> None:
        connection = TcpConnection()
        try:
            sock = self._home.open_socket(local, remote)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self._loop.sock_connect(sock, remote.endpoint)
                await self._loop.create_connection(lambda: connection, sock=sock)
            except BaseException:
                sock.close()
                raise
        except TimeoutError:
            self._failed(remote, f"no connection within {CONNECT_TIMEOUT:g} s")
        except OSError as error:
            self._failed(remote, os.strerror(error.errno).lower() if error.errno else "no connection")
        else:
            here: Address = sock.getsockname()[:2]
            self._connected(connection, replace(local, address=here[0], port=here[1]), remote)

    def _failed(self, remote: Candidate, why: str) -> None:
        logger.debug("%r: TCP to %s port %d: %s", self._session, *remote.endpoint, why)
        self._plan.failed(remote.endpoint, why, self._loop.time())
        self._arm()

    def _connected(self, connection: TcpConnection, local: Candidate, remote: Candidate) -> None:
        if connection.is_over:
            self._failed(remote, "the other side closed the connection")
            return
        before = [way for way in self._ways if way.is_ours and way.remote.endpoint == remote.endpoint]
        self._plan.connected(remote.endpoint)
        self.adopt(connection, local, remote, is_ours=True)
        for way in before:
            way.connection.close("another one replaces it")
        self._arm()

    # all connections

    def adopt(self, connection: TcpConnection, local: Candidate, remote: Candidate, *, is_ours: bool) -> Base:
        """`connection`, from `local` to `remote`, is the session's from now on, as a base of its own."""
        self._make_room()
        base = self._home.enter(local, connection)
        way = _Way(connection, base, remote, is_ours)
        way.timer = self._loop.call_later(PROVE, self._judge, way)
        self._ways.append(way)
        connection.on_datagram = partial(self._received, way)
        connection.on_end = partial(self._ended, way)
        self._session.add_connection(local, base.id, remote)
        return base

    def _received(self, way: _Way, datagram: bytes) -> None:
        self._home.receive(way.base, datagram, way.remote.endpoint)

    def _make_room(self) -> None:
        if len(self._ways) >= MAX_CONNECTIONS:
            unproven = next((way for way in self._ways if not self._is_proven(way)), self._ways[0])
            unproven.connection.close("too many connections")

    def _is_proven(self, way: _Way) -> bool:
        claim = self._session.claims.get((way.base.id, way.remote.endpoint))
        return claim is not None and claim.answered_at > float("-inf")

    def _judge(self, way: _Way) -> None:
        if not self._is_proven(way):
            way.connection.close("nobody answered over the connection")

    def _ended(self, way: _Way, why: str) -> None:
        if way.timer is not None:
            way.timer.cancel()
        is_newest = way is next((one for one in reversed(self._ways) if one.remote == way.remote), None)
        if way.is_ours and is_newest and not self._is_over:
            if self._is_proven(way):
                self._plan.worked(way.remote.endpoint)
            self._failed(way.remote, why)
        self._ways.remove(way)
        # The plan knows by now, for this may tell it that the path is lost.
        self._session.remove_base(way.base.id)
        self._home.leave(way.base)
