"""One search of one session: its sockets, its timer, the control server; what is found becomes the session's base."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from atmosphere.errors import DecodeError
from atmosphere.ice.base import Base
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.events import Transmit
from atmosphere.ice.hardnat.control import Control
from atmosphere.ice.hardnat.search import Outcome, Search, Shot
from atmosphere.ice.hardnat.sockets import OpenSockets
from atmosphere.ice.session import IceSession
from atmosphere.stun.message import Class, Message, Method, decode, encode

__all__ = ["Searcher"]

logger = logging.getLogger(__name__)

Address = tuple[str, int]


class Searcher:
    """Runs `search` for `session` from the socket that is `base`; `sockets` more are opened where the part needs them,
    the first of them on `ports`.

    Checks that come to these sockets are the session's as soon as one is signed by the remote: that socket then becomes
    a base of the session, and the others are closed.
    """

    def __init__(
        self,
        endpoint: IceEndpoint,
        session: IceSession,
        base: Base,
        search: Search,
        sockets: int,
        ports: Sequence[int] = (),
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._endpoint = endpoint
        self._session = session
        self._base = base
        self._search = search
        self._over = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._sockets = OpenSockets(base.candidate.address, sockets, self._received, ports)
        check = session.check_from(base.candidate)
        self._asked: bytes = b"" if check is None else check.transaction_id
        self._check: bytes = b"" if check is None else encode(check)

    async def run(self) -> Outcome:
        """Search until it is over; how it ended. The sockets are closed then, but for the one that was found."""
        control = self._watch()
        try:
            self._tick()
            await self._over.wait()
        finally:
            if control is not None:
                control.close()
            if self._timer is not None:
                self._timer.cancel()
            self._sockets.close()
            self._search.stop(self._loop.time())
        outcome = self._search.outcome
        if outcome is None:
            raise AssertionError("a search that was stopped is over")
        return outcome

    def stop(self) -> None:
        """End it: the other side found something, or the link is gone."""
        self._search.stop(self._loop.time())
        self._over.set()

    def _watch(self) -> Control | None:
        servers = self._endpoint.nat.servers
        if not servers:
            self._search.slow_down()  # nobody would tell us that it harms
            return None
        address = self._base.candidate.address
        return Control(address, servers[0], self._search.answered, self._search.unanswered)

    def _tick(self) -> None:
        now = self._loop.time()
        self._look(now)
        self._search.handle_timer(now)
        for shot in self._search.shots():
            self._shoot(shot)
        deadline = self._search.deadline()
        if deadline is None:
            self._over.set()
        else:
            self._timer = self._loop.call_at(deadline, self._tick)

    def _look(self, now: float) -> None:
        """The path tells the side that probes, and whichever side was found by the other."""
        path = self._session.path
        if path is not None and path.kind == "direct":
            self._search.found(now)
        elif self._session.is_over or not self._check:
            self._search.stop(now)

    def _shoot(self, shot: Shot) -> None:
        if shot.socket is not None:
            self._sockets.send(shot.socket, self._check, shot.destination, shot.ttl)
            return
        self._endpoint.mux.spoke_to(Transmit(self._base.id, self._check, shot.destination))
        self._base.send(self._check, shot.destination)

    def _received(self, number: int, data: bytes, source: Address) -> None:
        message = _check_in(data)
        if message is None or not self._is_remotes(message) or self._search.outcome is not None:
            return
        raw = self._sockets.take(number)
        base = None if raw is None else self._endpoint.extra.adopt(self._session, raw, source)
        if base is not None:
            logger.info("%r: %s port %d got through", self._session, *source)
            self._search.found(self._loop.time(), number)
            self._endpoint.mux.receive(base, data, source)
        self._over.set()

    def _is_remotes(self, message: Message) -> bool:
        is_ours = message.message_class is Class.REQUEST or message.transaction_id == self._asked
        return is_ours and self._session.is_remotes(message)


def _check_in(data: bytes) -> Message | None:
    """A check or its answer, if that is what it is."""
    try:
        message = decode(data)
    except DecodeError:
        return None
    return message if message.message_method is Method.BINDING else None
