"""What the two sides of one link told each other about their NATs, and the search that is under way between them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.hardnat.targets import trust
from atmosphere.mesh import wire
from atmosphere.mesh.hardnat_rules import UNTOLD
from atmosphere.mesh.hardnat_run import Run, is_relayed
from atmosphere.mesh.peerlink import PeerLink

__all__ = ["LOOK", "Told", "proven"]

LOOK = 0.2
"""Seconds between two looks for a proof."""


@dataclass(eq=False, slots=True)
class Told:
    """`theirs` and `ours` were told last; `number` is the search's, `answer` the word that is waited for.

    Every link has one, so there is no asyncio.Event in it: `waiter` is there only while somebody waits for `has_news`.
    """

    theirs: wire.Nat = UNTOLD
    ours: wire.Nat | None = None
    number: int = 0
    answer: asyncio.Future[wire.Punch] | None = None
    run: Run | None = None
    is_asked: bool = False
    has_news: bool = False
    waiter: asyncio.Future[None] | None = None

    def hear(self, nat: wire.Nat) -> None:
        """The other side says what its NAT does."""
        self.theirs = nat
        self.note_news()

    def note_news(self) -> None:
        """Something is another way now: whoever waits for that looks again."""
        self.has_news = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def answered(self, message: wire.Punch) -> None:
        """The other side says something about the search."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(message)
        elif message.what == "stop":
            self.stop()

    def stop(self) -> None:
        """End the search that is under way, if one is."""
        if self.run is not None:
            self.run.stop()

    async def wait_for_news(self, patience: float) -> None:
        """Wait until there are news, or not any longer; they are none afterwards."""
        if not self.has_news:
            self.waiter = asyncio.get_running_loop().create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self.waiter
            self.waiter = None
        self.has_news = False


async def proven(endpoint: IceEndpoint, link: PeerLink, address: str, patience: float) -> None:
    """Wait until the other side of a relayed link has answered from that address, or not any longer."""
    for _ in range(int(patience / LOOK)):
        level = trust(address, link.session.report(), endpoint.lent_by(link.peer_id))
        if level == "proven" or not is_relayed(link):
            return
        await asyncio.sleep(LOOK)
