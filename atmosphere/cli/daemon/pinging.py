"""Pings for `atmosphere ping`: so many, or until a pong came over a direct path."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from atmosphere.cli import render
from atmosphere.cli.control.messages import Ping, Pong
from atmosphere.cli.control.server import Report
from atmosphere.errors import Unreachable
from atmosphere.tasks import Tasks

if TYPE_CHECKING:
    from atmosphere.cli.daemon.faces import NodeFace, PeerFace

logger = logging.getLogger(__name__)


class Pinging:
    """One request of the command; `run` gives its result."""

    def __init__(self, node: NodeFace, request: Ping, report: Report) -> None:
        self._node = node
        self._peer: PeerFace = node.peer(request.peer)
        self._request = request
        self._report = report
        self._times: list[float] = []
        self._sent = 0
        self._changed = asyncio.Event()
        self._tasks = Tasks("ping")

    async def run(self) -> Any:
        """Ping, each pong told as progress; raises nothing when there is none."""
        if self._request.until_direct:
            self._tasks.spawn(self._follow_events(), "events")
        try:
            async with asyncio.timeout(self._request.within):
                await self._all()
        except TimeoutError:
            logger.debug("no direct pong within %s s", self._request.within)
        finally:
            await self._tasks.close()
        path = self._peer.info().path
        return {
            "peer": self._peer.name,
            "sent": self._sent,
            "received": len(self._times),
            "rtt_ms": _spread(self._times),
            "path": path,
        }

    async def _all(self) -> None:
        request = self._request
        while not request.count or self._sent < request.count:
            self._sent += 1
            pong = await self._once()
            await self._report(pong)
            if request.until_direct and pong.kind == "direct" and pong.rtt_ms is not None:
                return
            if self._sent != request.count:
                await self._pause(hurry=request.until_direct and pong.rtt_ms is not None)

    async def _once(self) -> Pong:
        """Ping once; a pong without a time when nothing came back, without a kind when the path changed meanwhile."""
        timeout = self._request.timeout
        before = rtt = None
        try:
            async with asyncio.timeout(timeout):
                await self._peer.wait_connected(timeout)
                before = self._peer.info().path
                rtt = await self._peer.ping(timeout=timeout)
        except (Unreachable, TimeoutError) as error:
            logger.debug("ping %d: %s", self._sent, error)
        if rtt is not None:
            self._times.append(rtt)
        path = self._peer.info().path
        kind = path.kind if path and before and path.kind == before.kind else None
        return Pong(self._sent, rtt, kind, render.route(path), self._peer.name)

    async def _pause(self, *, hurry: bool) -> None:
        """Wait for the next ping's turn; in a hurry no longer than until the path is direct."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._request.interval):
                while not (hurry and self._is_direct()):
                    self._changed.clear()
                    await self._changed.wait()

    def _is_direct(self) -> bool:
        path = self._peer.info().path
        return path is not None and path.kind == "direct"

    async def _follow_events(self) -> None:
        async for _ in self._node.events():
            self._changed.set()


def _spread(times: list[float]) -> dict[str, float] | None:
    if not times:
        return None
    return {"min": round(min(times), 3), "avg": round(sum(times) / len(times), 3), "max": round(max(times), 3)}
