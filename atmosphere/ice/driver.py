"""Runs the pure agent of a session on the loop: what it wants sent is sent, what it tells is told, and it is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from atmosphere.ice.agent import Agent
from atmosphere.ice.events import IceEvent
from atmosphere.ice.router import Router

if TYPE_CHECKING:
    from atmosphere.ice.session import IceSession

__all__ = ["Driver"]

LATE_ENOUGH = 0.05
"""Seconds that a timer may fire early."""


class Driver:
    """The loop's side of an agent. Whoever calls the agent calls `flush` after it."""

    __slots__ = ("_agent", "_loop", "_router", "_session", "_tell", "_timer")

    def __init__(self, session: IceSession, agent: Agent, router: Router, tell: Callable[[IceEvent], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._agent = agent
        self._router = router
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None

    def flush(self) -> None:
        """Send what the agent wants sent, forget whom it forgot, tell what it tells, arm its timer."""
        for transmit in self._agent.transmits():
            self._router.transmit(self._session, transmit)
            if transmit.is_check:
                self._session.checked(transmit.base, transmit.destination)
        for base, source in self._agent.dropped():
            self._router.forget(self._session, base, source)
        for event in self._agent.events():
            self._tell(event)
        self.arm()

    def arm(self) -> None:
        """Wake the agent at its deadline; never again once it is over."""
        deadline = self._agent.deadline()
        if deadline is None:
            self._disarm()
        elif self._timer is None or not -LATE_ENOUGH <= self._timer.when() - deadline <= 0:
            self._disarm()
            self._timer = self._loop.call_at(deadline, self._timeout, deadline)
        # A timer that is a little early fires and finds nothing to do, which is cheaper than arming it anew each time;
        # not so after a consent check's answer, which puts the deadline off far: a wake costs more than a timer.

    def close(self) -> None:
        """End the agent and its timer; nothing is sent any more."""
        self._agent.close()
        self._disarm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timeout(self, armed: float) -> None:
        self._timer = None
        self._agent.handle_timer(max(self._loop.time(), armed))
        self.flush()
