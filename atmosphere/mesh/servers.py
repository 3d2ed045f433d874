"""The STUN and TURN servers of this node: those configured, those that signaling servers lend, those that members are,
and while it joins those that its host is.

Whoever lends or offers one may be hostile, and each costs sockets and questions to an address of its choice. So there
are a few of each kind, and they change only every few seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable

from atmosphere.errors import DecodeError
from atmosphere.mesh.listeners import NodeSettings
from atmosphere.turn.uri import ServerUri, TurnServer, parse_turn
from signaling.turn_credentials import TurnServer as LentServer

__all__ = ["MAX_LENT", "MAX_MEMBERS", "PAUSE", "Servers", "usable"]

logger = logging.getLogger(__name__)

MAX_LENT = 8
MAX_MEMBERS = 4
JOINING = 120.0
"""Seconds that the host of a join code is used as a relay; by then a joiner is a member, and has members' relays."""
PAUSE = 5.0
"""Seconds from one change until the next is made."""

Wanted = tuple[tuple[ServerUri, ...], tuple[TurnServer, ...]]
SetServers = Callable[[tuple[ServerUri, ...], tuple[TurnServer, ...]], None]


class Servers:
    """Merges them for `set_servers`, which is IceEndpoint's. Of two with one URI the more trusted one counts."""

    def __init__(self, settings: NodeSettings, set_servers: SetServers) -> None:
        self._settings = settings
        self._set_servers = set_servers
        self._lent: list[TurnServer] = []
        self._members: list[TurnServer] = []
        self._joining: list[TurnServer] = []
        self._telling: list[ServerUri] = []
        self._joined: asyncio.TimerHandle | None = None
        self._using = self._wanted()
        self._pausing: asyncio.TimerHandle | None = None

    def lend(self, servers: Iterable[LentServer]) -> None:
        """Signaling servers lend these: they take the place of those lent before."""
        self._lent = usable(servers)
        self._changed()

    def offer(self, servers: Iterable[TurnServer]) -> None:
        """Members offer these: they take the place of those offered before."""
        self._members = list(servers)[:MAX_MEMBERS]
        self._changed()

    def join(self, stun: Iterable[ServerUri], turn: Iterable[TurnServer]) -> None:
        """Servers that a join code names serve us for a while."""
        self._telling, self._joining = list(stun), list(turn)
        if self._joined is not None:
            self._joined.cancel()
        self._joined = asyncio.get_running_loop().call_later(JOINING, self._join_no_more)
        self._changed()

    def _join_no_more(self) -> None:
        self._telling, self._joining = [], []
        self._changed()

    def _wanted(self) -> Wanted:
        every = (*self._settings.turn_servers, *self._lent, *self._members, *self._joining)
        turn = tuple({server.uri: server for server in reversed(every)}.values())[::-1]
        return (*self._settings.stun_uris, *self._telling), turn

    def _changed(self) -> None:
        if self._pausing is None:
            self._use()

    def _use(self) -> None:
        """Use what is wanted now; and again after a pause, if it has changed by then."""
        self._pausing = None
        wanted = self._wanted()
        if wanted != self._using:
            self._using = wanted
            self._set_servers(*wanted)
            self._pausing = asyncio.get_running_loop().call_later(PAUSE, self._use)

    def close(self) -> None:
        """Change nothing any more."""
        for timer in (self._pausing, self._joined):
            if timer is not None:
                timer.cancel()


def usable(servers: Iterable[LentServer]) -> list[TurnServer]:
    """The lent servers that make sense, the first address of each before the second of any, at most 8."""
    lent: list[TurnServer] = []
    for addresses in itertools.zip_longest(*([(uri, server) for uri in server.uris] for server in servers)):
        for uri, server in filter(None, addresses):
            try:
                lent.append(parse_turn(uri, username=server.username, password=server.password))
            except DecodeError as error:
                logger.debug("a signaling server lent a TURN server that cannot be used: %s", error)
    return lent[:MAX_LENT]
