"""Watches that a link's data is answered: the timer around `dataflow`, and the questions it has sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from atmosphere.channels.dataflow import DataFlow
from atmosphere.sctp.interface import Association

logger = logging.getLogger(__name__)


def _ignore() -> None:
    """Nobody listens."""


class FlowWatch:
    """Told by a link what it sends and hears; `attend` gives it the association whose packets these are.

    `on_suspect` is called when data has not been answered for a second: time to look at the other pairs; `on_alarm`
    at the next question: time to make another path. `on_silent` is called when nothing at all was answered for seconds,
    acknowledgements or anything else.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._flow = DataFlow()
        self._timer: asyncio.TimerHandle | None = None
        self._association: Association | None = None
        self.round_trip: Callable[[], float | None] = lambda: None
        """What a round trip over the path takes at most as a rule, in seconds, as its checks show. An association does
        not learn of a longer one from few messages: each is sent again before it is answered, which measures nothing.
        """
        self.on_suspect: Callable[[], None] = _ignore
        self.on_alarm: Callable[[], None] = _ignore
        self.on_silent: Callable[[], None] = _ignore

    @property
    def idle(self) -> bool:
        """Whether nothing is being waited for."""
        return self._timer is None

    def attend(self, association: Association) -> None:
        """Watch what this association sends."""
        self._association = association

    def sent(self) -> None:
        """A packet went out."""
        if self._association is not None and self._association.outstanding:
            self._flow.sent(self._loop.time())
            if self._timer is None:
                self._arm(self._association)

    def heard(self) -> None:
        """A packet came that only the peer can have sent, or the path is another one now."""
        self._flow.heard()

    def stop(self) -> None:
        """Watch no more."""
        self._association = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, association: Association) -> None:
        deadline = self._flow.deadline(self._answer_time(association))
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._due, association)

    def _answer_time(self, association: Association) -> float | None:
        known = [time for time in (association.answer_time, self.round_trip()) if time is not None]
        return max(known, default=None)

    def _due(self, association: Association) -> None:
        self._timer = None
        if not association.outstanding:
            self._flow.heard()
            return
        verdict = self._flow.verdict(self._loop.time(), self._answer_time(association))
        if verdict == "silent":
            logger.info("data is not answered")
            self.on_silent()
        elif verdict != "wait":
            association.probe()
        if verdict == "suspect":
            self.on_suspect()
        elif verdict == "alarm":
            self.on_alarm()
        if self._timer is None and self._association is not None:
            self._arm(association)
