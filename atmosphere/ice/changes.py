"""Whether the network is another one now, and who is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from atmosphere.udp.route import ways_out

__all__ = ["Changes"]

logger = logging.getLogger(__name__)

CHANGE_TAKES = 5.0
"""Seconds in which another public address belongs to a change of the network that was noticed already."""


class Changes:
    """The ways out of this machine, and when there was a change; `receivers` are called by `tell`."""

    def __init__(self) -> None:
        self.receivers: list[Callable[[], None]] = []

    def start(self) -> None:
        """The network is as it is now."""
        self._loop = asyncio.get_running_loop()
        self._ways = ways_out()
        self._changed_at = self._loop.time()

    def look(self, *, moved: bool, sure: bool) -> bool:
        """Whether the network changed: our addresses did (`moved`), the ways out did, or it is said so (`sure`)."""
        former, self._ways = self._ways, ways_out()
        changed = moved or self._ways != former or sure
        if changed:
            self._changed_at = self._loop.time()
        return changed

    def public_address(self) -> bool:
        """The router has another address, so other mappings; False where it is the change that made us ask."""
        now = self._loop.time()
        if now - self._changed_at < CHANGE_TAKES:
            return False
        self._changed_at = now
        return True

    def tell(self) -> None:
        """Call the receivers, once everything else is right."""
        for receiver in list(self.receivers):
            try:
                receiver()
            except Exception:
                # One listener's fault must not keep the others from hearing of it.
                logger.exception("a receiver of changes failed")
