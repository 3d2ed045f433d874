"""The attempts to reach members: the one that runs, and how the last that failed came to its end, for `explain`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from atmosphere.errors import AtmosphereError, Refused
from atmosphere.ice.events import PairReport
from atmosphere.mesh.exchange import Exchange
from atmosphere.mesh.situation import Attempt, Layer

__all__ = ["Attempts"]

Outcome = tuple[Attempt, tuple[PairReport, ...]]


class Running:
    """An attempt under way: its exchange once it has begun, and whether the DTLS handshake is done."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.exchange: Exchange | None = None
        self.greeting = False

    def outcome(self, error: Exception | None = None) -> Outcome:
        """How far it came, and every pair so far."""
        pairs = () if self.exchange is None else tuple(self.exchange.session.report())
        answered = self.exchange is not None and self.exchange.answered
        said = None if error is None else str(error) or "no answer in time"
        return Attempt(self._layer(pairs, error, answered), answered, time.monotonic() - self._began, said), pairs

    def _layer(self, pairs: tuple[PairReport, ...], error: Exception | None, answered: bool) -> Layer:
        if isinstance(error, Refused):
            return "refused"
        if self.greeting:
            return "greeting"
        if any(pair.state == "succeeded" for pair in pairs):
            return "dtls"
        return "ice" if answered else "signaling"


class Attempts:
    """By node id. A failure is remembered until an attempt succeeds; one that was cancelled says nothing."""

    def __init__(self) -> None:
        self._running: dict[str, Running] = {}
        self._failed: dict[str, Outcome] = {}

    @contextmanager
    def watch(self, node_id: str) -> Iterator[None]:
        """Remember how the attempt in this context ends."""
        running = self._running[node_id] = Running()
        try:
            yield
        except (AtmosphereError, TimeoutError) as error:
            self._failed[node_id] = running.outcome(error)
            raise
        else:
            self._failed.pop(node_id, None)
        finally:
            del self._running[node_id]

    def begun(self, node_id: str, exchange: Exchange) -> None:
        """Signals and checks are on their way."""
        if (running := self._running.get(node_id)) is not None:
            running.exchange = exchange

    def greeting(self, node_id: str) -> None:
        """The DTLS handshake is done; now both sides prove that they are members."""
        if (running := self._running.get(node_id)) is not None:
            running.greeting = True

    def of(self, node_id: str, patience: float) -> Outcome | None:
        """The attempt that tells most: the one that runs once it is `patience` seconds old, or else the last that
        failed, or else the one that runs; None where there was none."""
        running = self._running.get(node_id)
        now = running.outcome() if running is not None else None
        if now is not None and now[0].seconds >= patience:
            return now
        return self._failed.get(node_id, now)

    def keep_only(self, node_ids: Collection[str]) -> None:
        """Forget everybody else."""
        self._failed = {node_id: outcome for node_id, outcome in self._failed.items() if node_id in node_ids}
