"""The attempts to reach members: the one that runs, and how the last that failed came to its end, for `explain`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from atmosphere.errors import AtmosphereError, Refused
from atmosphere.ice.events import PairReport
from atmosphere.mesh.exchange import Exchange
from atmosphere.mesh.situation import Attempt, Layer

__all__ = ["Attempts", "Running"]

Outcome = tuple[Attempt, tuple[PairReport, ...]]


class Running:
    """An attempt under way; `greeting` is to be set once the DTLS handshake is done."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._began = time.monotonic()
        self.greeting = False

    def outcome(self, error: Exception | None = None) -> Outcome:
        """How far it came, and every pair so far."""
        pairs = tuple(self._exchange.session.report())
        said = None if error is None else str(error) or "no answer in time"
        seconds = time.monotonic() - self._began
        return Attempt(self._layer(pairs, error), self._exchange.answered, seconds, said), pairs

    def _layer(self, pairs: tuple[PairReport, ...], error: Exception | None) -> Layer:
        if isinstance(error, Refused):
            return "refused"
        if self.greeting:
            return "greeting"
        if any(pair.state == "succeeded" for pair in pairs):
            return "dtls"
        return "ice" if self._exchange.answered else "signaling"


class Attempts:
    """By node id. A failure is remembered until an attempt succeeds; one that was cancelled says nothing."""

    def __init__(self) -> None:
        self._running: dict[str, Running] = {}
        self._failed: dict[str, Outcome] = {}

    @contextmanager
    def watch(self, node_id: str, exchange: Exchange) -> Iterator[Running]:
        """Remember how the attempt in this context ends."""
        running = self._running[node_id] = Running(exchange)
        try:
            yield running
        except (AtmosphereError, TimeoutError) as error:
            self._failed[node_id] = running.outcome(error)
            raise
        else:
            self._failed.pop(node_id, None)
        finally:
            del self._running[node_id]

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
