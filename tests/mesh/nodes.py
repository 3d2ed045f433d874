"""Real nodes on loopback for the tests of this floor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from atmosphere.mesh.events import Event
from atmosphere.mesh.node import Node
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.store import init_home

WAIT = 15.0
"""Seconds that a test waits for what must happen; reached only when it does not."""


def make(home: Path, **options: Any) -> Node:
    """A node on loopback that asks no server in the world."""
    return Node(home, **{"host": "127.0.0.1", "port": 0, "stun": (), **options})


def founder(home: Path, name: str = "alpha", **options: Any) -> Node:
    """A node that founded the mesh `home`."""
    init_home(home, "home", name)
    return make(home, **options)


class Mesh:
    """Nodes that joined one another, stopped at the end of the test."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack

    async def start(self, node: Node) -> Node:
        """Start `node` and stop it with the test."""
        await self._stack.enter_async_context(node)
        return node

    async def found(self, name: str = "alpha", **options: Any) -> Node:
        """The mesh's founder, running."""
        return await self.start(founder(self._folder / name, name, **options))

    async def fresh(self, name: str, **options: Any) -> Node:
        """A node in no mesh, running."""
        return await self.start(make(self._folder / name, name=name, **options))

    async def join(self, host: Node, name: str, **options: Any) -> Node:
        """A new node that joined by a code of `host`; each knows where to find the other again."""
        node = await self.fresh(name, **options)
        await node.join(str(await host.invite()))
        ours, theirs = node._parts.roster.contacts, host._parts.roster.contacts
        await until(node, lambda: ours.get(host.id) and theirs.get(node.id))
        return node

    async def restart(self, node: Node, **options: Any) -> Node:
        """The same home again, in a new process as far as anybody can tell."""
        await node.stop()
        return await self.start(make(node.home, **options))


@asynccontextmanager
async def mesh(folder: Path) -> AsyncIterator[Mesh]:
    """A mesh in `folder`."""
    async with AsyncExitStack() as stack:
        yield Mesh(folder, stack)


async def until(node: Node, condition: Callable[[], Any]) -> None:
    """Wait until `condition` holds, looking again at every event of `node`."""
    events = node.events()
    async with asyncio.timeout(WAIT):
        while not condition():
            await _next_or_soon(events)


async def _next_or_soon(events: AsyncIterator[Event]) -> None:
    """Events say when to look; a state without an event of its own is looked at ten times a second."""
    waiting = asyncio.ensure_future(anext(events))
    try:
        await asyncio.wait({waiting}, timeout=0.1)
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def connected(node: Node, *names: str) -> list[Peer]:
    """Wait until `node` has links to all of `names`."""
    await until(node, lambda: {peer.name for peer in node.peers() if peer.state == "connected"} >= set(names))
    return [node.peer(name) for name in names]
