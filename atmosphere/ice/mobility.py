"""The way of one link: its datagrams go over whichever of its ICE sessions has a path, so a link outlives them all.

A session ends with its consent, or when no pair is left; an ICE restart is another session for the same link (its
*successor*). Each has an *order*, the same at both ends: among those that have a path the one with the highest is
used, so both ends settle on the same one, whoever began it. Datagrams are taken from all of them, for what was sent
over the former one still arrives a little later. The former ones are closed once that time is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.datagrams import OnBurst
from atmosphere.ice.events import (
    AgentState,
    ConsentExpired,
    IceEvent,
    IceFailed,
    PathLost,
    PathRestored,
    PathSelected,
)
from atmosphere.ice.session import IceSession

__all__ = ["FIRST", "KEPT", "MobilePath", "Order"]

logger = logging.getLogger(__name__)

KEPT = 300.0
"""Seconds that a link without a path is kept: long enough for a router's restart, a train's tunnel or a laptop carried
to another network, and no longer than RFC 4787 (§4.3) has a NAT remember a mapping."""
LINGER = 3.0
"""Seconds that a former session still takes datagrams: longer than packets stay on their way."""
MAX_SESSIONS = 4
"""Sessions of one link: the present one, a former one, and one that each end has begun."""

MAX_KNOWN = 16
"""Addresses of the remote that a successor begins with."""

Order = tuple[int, int]
"""How late a session came (its generation, the first has 0), and who wins where both ends began one at once."""
FIRST: Order = (0, 0)


class MobilePath:
    """What a `Link` sends over and hears from; it begins with one session and may be given more.

    `on_event` gets the events of the session in use as if there were only one: PathSelected also when another session
    takes over, PathLost only when none has a path, IceFailed once none ever will again.
    """

    def __init__(self, session: IceSession) -> None:
        self._loop = asyncio.get_running_loop()
        self._orders: dict[IceSession, Order] = {}
        self._on_datagram: Callable[[bytes], None] | None = None
        self._on_burst: OnBurst | None = None
        self._on_writable: Callable[[], None] = lambda: None
        self._on_session: Callable[[IceSession], None] | None = None
        self._kept = 0.0
        self._had_path = False
        self._lost = False
        self.moves = 0
        """How often the path became another one."""
        self._over = False
        self._giving_up: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self.on_event: Callable[[IceEvent], None] | None = None
        self.session = session
        self._take(session, FIRST)

    def __repr__(self) -> str:
        return f"MobilePath({self.state}, {len(self._orders)} sessions)"

    # what it is

    @property
    def state(self) -> AgentState:
        """As of a single session; disconnected while there is no path but the link is kept, closed at the end."""
        if self._over:
            return "closed"
        return "disconnected" if self._lost else self.session.state

    @property
    def sessions(self) -> list[IceSession]:
        """Those that are not over, the latest first."""
        return sorted(self._orders, key=self._orders.__getitem__, reverse=True)

    def add_remote(self, candidate: Candidate) -> None:
        """Let every session try this address of the remote too."""
        for session in self.sessions:
            session.add_remote(candidate)

    def keep(self, seconds: float = KEPT) -> None:
        """From now on the end of the last session is not the end: it stays without a path for so long.

        Before this is said (nobody has proved yet who is at the other end) it ends with its first session.
        """
        self._kept = seconds
        if self._lost:
            self._give_up_later()

    @property
    def on_session(self) -> Callable[[IceSession], None] | None:
        """Is handed every session, those that are there when it is assigned too: to set what holds for the link."""
        return self._on_session

    @on_session.setter
    def on_session(self, receiver: Callable[[IceSession], None] | None) -> None:
        self._on_session = receiver
        if receiver is not None:
            for session in self.sessions:
                receiver(session)

    # datagrams (channels.protected.DatagramTransport)

    @property
    def on_datagram(self) -> Callable[[bytes], None] | None:
        """Takes each datagram from the remote, whichever session it came by."""
        return self._on_datagram

    @on_datagram.setter
    def on_datagram(self, receiver: Callable[[bytes], None] | None) -> None:
        self._on_datagram = receiver
        for session in self.sessions:
            session.on_datagram = receiver

    @property
    def on_burst(self) -> OnBurst | None:
        """Takes bursts from the remote, as `on_burst(data, segment)`."""
        return self._on_burst

    @on_burst.setter
    def on_burst(self, receiver: OnBurst | None) -> None:
        self._on_burst = receiver
        for session in self.sessions:
            session.on_burst = receiver

    @property
    def on_writable(self) -> Callable[[], None]:
        """Called when the session in use may take bursts again."""
        return self._on_writable

    @on_writable.setter
    def on_writable(self, receiver: Callable[[], None]) -> None:
        self._on_writable = receiver
        for session in self.sessions:
            session.on_writable = receiver

    @property
    def blocked(self) -> bool:
        """Whether the session in use takes no bursts just now."""
        return self.session.blocked

    def send(self, datagram: bytes) -> None:
        """Send one datagram over the session in use; may be lost like any, and is while there is no path."""
        self.session.send(datagram)

    def send_burst(self, data: bytes, segment: int) -> None:
        """The same for datagrams end to end, `segment` bytes each but the last."""
        self.session.send_burst(data, segment)

    def send_probe(self, datagram: bytes) -> None:
        """Send one datagram that must not be fragmented over the session in use, if it can do that."""
        self.session.send_probe(datagram)

    @property
    def quiet(self) -> float:
        """Seconds since the remote answered a check of ours."""
        return self.session.quiet

    def suspect(self) -> None:
        """Data has not been answered for a second: find out now which other pairs work."""
        self.session.suspect()

    def distrust(self) -> None:
        """Data is not answered on the present path, although ICE finds it alive: use another, or look for one."""
        self.session.distrust("data is not answered")

    # sessions

    def attach(self, session: IceSession, order: Order) -> None:
        """A successor in the making, which tries at once where the remote was before.

        Where there are too many, one without a path is closed, the oldest first.
        """
        if self._over:
            session.close()
            return
        self._take(session, order)
        for candidate in self._known():
            session.add_remote(candidate)
        if len(self._orders) > MAX_SESSIONS:
            spare = [one for one in self._orders if one is not self.session]
            self._drop(min(spare, key=lambda one: (one.state == "connected", self._orders[one])))
        self._choose(None)

    def let_go(self, session: IceSession) -> None:
        """Forget a successor whose maker has closed it, for a closed session tells nothing; any other stays."""
        if session.state == "closed":
            self._orders.pop(session, None)

    def close(self) -> None:
        """End every session. Twice is fine."""
        self._over = True
        self._stop_timers()
        for session in self.sessions:
            self._drop(session)

    def _take(self, session: IceSession, order: Order) -> None:
        self._orders[session] = order
        session.kin = self
        session.on_event = partial(self._heard, session)
        if self._on_session is not None:
            self._on_session(session)
        session.on_burst, session.on_writable = self._on_burst, self._on_writable
        if self._on_datagram is not None:
            session.on_datagram = self._on_datagram

    def _known(self) -> list[Candidate]:
        """Remote addresses that the present session tried, best first."""
        found: dict[tuple[str, int], Candidate] = {}
        for pair in self.session.report():
            found.setdefault(pair.remote.endpoint, pair.remote)
        return list(found.values())[:MAX_KNOWN]

    def _drop(self, session: IceSession) -> None:
        del self._orders[session]
        session.close()

    # what sessions tell

    def _heard(self, session: IceSession, event: IceEvent) -> None:
        if session not in self._orders:
            return
        logger.debug("%r: %s", session, event)
        if isinstance(event, IceFailed | ConsentExpired):
            del self._orders[session]
            self._ended(event)
        elif session is not self.session:
            self._choose(None)
        elif isinstance(event, PathLost | PathRestored):
            self._choose(event)
        else:
            self._had_path |= isinstance(event, PathSelected)
            self._tell(event)

    def _ended(self, event: IceFailed | ConsentExpired) -> None:
        """A session is over: with it the whole, where it was the last one and nobody said to keep it."""
        if self._orders or (self._kept and self._had_path):
            self._choose(None)
        else:
            self._finish(event)

    def _choose(self, event: PathLost | PathRestored | None) -> None:
        """Use the latest session that has a path."""
        best = next((session for session in self.sessions if session.state == "connected"), None)
        if best is not None:
            self._use(best)
        elif self._had_path and not self._lost:
            self._lost = True
            self._give_up_later()
            self._tell(event if isinstance(event, PathLost) else PathLost(0.0))

    def _use(self, best: IceSession) -> None:
        former, self.session = self.session, best
        was_lost, self._lost, self._had_path = self._lost, False, True
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        self._linger()
        pair = best.selected
        if best is not former and pair is not None:
            logger.info("%r takes over from %r", best, former)
            self._tell(PathSelected(pair, former.selected))
        if was_lost:
            self._tell(PathRestored())

    def _tell(self, event: IceEvent) -> None:
        self.moves += isinstance(event, PathSelected)
        if self.on_event is not None:
            self.on_event(event)

    # time

    def _former(self) -> list[IceSession]:
        order = self._orders.get(self.session, FIRST)
        return [session for session in self.sessions if self._orders[session] < order]

    def _linger(self) -> None:
        if self._lingering is None and self._former():
            self._lingering = self._loop.call_later(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._lingering = None
        if self.state == "connected":
            for session in self._former():
                self._drop(session)

    def _give_up_later(self) -> None:
        if self._kept and self._giving_up is None:
            self._giving_up = self._loop.call_later(self._kept, self._give_up)

    def _give_up(self) -> None:
        self._finish(IceFailed(f"there was no path for {self._kept:g} s"))

    def _finish(self, event: IceFailed | ConsentExpired) -> None:
        self.close()
        self._tell(event)

    def _stop_timers(self) -> None:
        for timer in (self._giving_up, self._lingering):
            if timer is not None:
                timer.cancel()
        self._giving_up = self._lingering = None
