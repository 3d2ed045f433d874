"""Ends for one node with many peers: the hub invites them all; the spokes, in one process, know it alone."""

from __future__ import annotations

import asyncio

from atmosphere.mesh import wire
from atmosphere.mesh.connecting import Connecting
from atmosphere.mesh.gossip import Gossip
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink
from tests.bench.atmosphere_end import AtmosphereEnd
from tests.bench.end import now

AT_ONCE = 4
"""Joiners on their way at a time: a hundred handshakes in one process would have each wait for all."""


class HubEnd(AtmosphereEnd):
    """A node with any number of peers, or (after `join_all`) those peers."""

    def __init__(self) -> None:
        super().__init__()
        self._spokes: list[AtmosphereEnd] = []

    async def invite(self, uses: int) -> str:
        """The hub: a code for so many."""
        await self.prepare()
        if self._node is None:
            raise AssertionError("prepared")
        return str(await self._node.invite(uses=uses))

    async def traffic(self) -> int:
        """Bytes that the hub's sockets sent and received, with the headers of IP and UDP."""
        if self._node is None:
            raise AssertionError("prepared")
        sockets = self._node._parts.listeners.endpoint.sockets
        return sum(one.bytes_sent + one.bytes_received + 28 * (one.sent + one.received) for one in sockets)

    async def join_all(self, text: str, count: int) -> float:
        """So many nodes join, a few at a time; seconds until each had a byte back from the hub."""
        _know_only_the_hub()
        spokes = [AtmosphereEnd() for _ in range(count)]
        began, some = now(), asyncio.Semaphore(AT_ONCE)

        async def dial(spoke: AtmosphereEnd) -> None:
            async with some:
                await spoke.dial(text)

        await asyncio.gather(*(dial(spoke) for spoke in spokes))
        self._spokes += spokes
        return now() - began

    async def close(self) -> None:
        await asyncio.gather(*(spoke.close() for spoke in self._spokes))
        await super().close()


def _know_only_the_hub() -> None:
    """From now on no node of this process hears of other members.

    A hundred of them would make 4,950 links, and each check and write down the memberships of all others: that would be
    measured, and not the hub.
    """
    handle = Gossip.handle
    if handle.__name__ == "listen":
        return

    def listen(gossip: Gossip, link: PeerLink, message: wire.Message) -> None:
        if not isinstance(message, wire.Facts | wire.Contacts):
            handle(gossip, link, message)

    async def never(_connecting: Connecting, _peer: Peer) -> None:
        await asyncio.Event().wait()

    Gossip.handle = listen  # type: ignore[method-assign, assignment]
    Connecting.attempt = never  # type: ignore[method-assign, assignment]
