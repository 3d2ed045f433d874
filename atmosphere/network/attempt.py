"""What came of a hole punch, for its caller to look at."""

from __future__ import annotations

import asyncio
from collections import deque

from atmosphere.errors import LinkError
from atmosphere.network.punch import Address, Punch, State

MAX_WAITING = 256


class PunchAttempt:
    """What came of a hole punch, kept up to date: `state`, `is_direct`, `rtt` in seconds, `remote`, `dropped`.

    The states: probing, connected, failed (no way through in time), lost (30 s silent, or the peer stopped), closed.
    """

    def __init__(self, peer_id: str, punch: Punch) -> None:
        """Made by `NATTraversal.punch_hole`, which also feeds it."""
        self.peer_id = peer_id
        self.dropped = 0
        self.punch = punch
        self._known = punch.state
        self.settled = asyncio.Event()
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()

    def __repr__(self) -> str:
        return f"PunchAttempt({self.peer_id!r}, {self.state}, {self.remote})"

    @property
    def state(self) -> State:
        """Where it stands, in one word."""
        return self.punch.state

    @property
    def is_direct(self) -> bool:
        """Whether datagrams pass both ways now."""
        return self.punch.state == "connected"

    @property
    def rtt(self) -> float | None:
        """The last measured round trip in seconds, measured again every 10 s; None before the first."""
        return self.punch.rtt

    @property
    def remote(self) -> Address | None:
        """The peer's address as it works, which may differ from the one punched at; None while there is none."""
        return self.punch.remote

    def deliver(self, data: bytes) -> None:
        """Keep what arrived for `take`; at most 256 wait, the rest is dropped and counted."""
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(data)
        self._arrived.set()

    def changed(self) -> None:
        """After a change of state, wake who waits for an outcome, or for data that will not come any more."""
        if self.state != self._known:
            self._known = self.state
            self.settled.set()
            self._arrived.set()

    async def take(self) -> bytes:
        """The next datagram, or LinkError when none will come any more."""
        while not self._waiting:
            if not self.punch.is_alive:
                raise LinkError(f"the path to {self.peer_id} is {self.state}")
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()
