"""The node's port at every router it is behind: one keeper a local address, and what they achieved. I/O.

An IPv4 address needs it where it is private; a public IPv6 address, where the router's firewall listens to us.
Loopback, tunnels without a router and public IPv4 addresses have nobody to ask.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Set

from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.portmapping.keeper import Keeper, Places
from atmosphere.ice.portmapping.model import MappedPort
from atmosphere.ice.portmapping.outside import PUBLIC, external_of, mapped_candidate, trouble, verified
from atmosphere.tasks import Tasks
from atmosphere.udp.address_class import address_class
from atmosphere.udp.gateway import Link, default_routes, link_of

__all__ = ["PortMapper", "router_of"]

logger = logging.getLogger(__name__)

MAX_KEEPERS = 8

OnCandidate = Callable[[Base, Candidate | None], None]
OnTcp = Callable[[str, tuple[str, int] | None], None]


def router_of(address: str) -> Link | None:
    """The link of an address of ours whose router could open a port; None for an address that has no use for it."""
    wanted = PUBLIC if ":" in address else {"private", "shared"}
    return link_of(address) if address_class(address) in wanted else None


class PortMapper:
    """Follows the node's bases; `on_candidate(base, candidate)` hears of each mapped one, or None when it is gone.

    `on_tcp(local address, external address and port)` hears the same of the node's TCP port.
    `seed` lets a node that was killed renew its own PCP mappings; empty, a random one.
    """

    def __init__(
        self,
        port: int,
        on_candidate: OnCandidate,
        *,
        on_tcp: OnTcp = lambda local, external: None,
        seed: bytes = b"",
        router_of: Callable[[str], Link | None] = router_of,
        routes: Callable[[], object] = default_routes,
        places: Places | None = None,
    ) -> None:
        self._port = port
        self._on_candidate = on_candidate
        self._on_tcp = on_tcp
        self._seed = seed or os.urandom(16)
        self._router_of = router_of
        self._routes = routes
        self._routes_then = routes()
        self._places = places or Places()
        self._bases: dict[str, Base] = {}
        self._keepers: dict[str, Keeper] = {}
        self._told: dict[str, Candidate | None] = {}
        self._told_tcp: dict[str, tuple[str, int] | None] = {}
        self._tasks = Tasks("port mapper")
        self._leaving: set[Keeper] = set()
        self._closed = False

    def add(self, base: Base) -> None:
        """A socket was opened."""
        self._bases[base.candidate.address] = base
        self._follow(base.candidate.address)

    def remove(self, base: Base) -> None:
        """It was closed: its ports are taken back, if its router still hears us."""
        address = base.candidate.address
        if self._bases.pop(address, None) is not None:
            self._told.pop(address, None)
            if self._told_tcp.pop(address, None) is not None:
                self._on_tcp(address, None)
            self._drop(address)

    def refresh(self, *, changed: bool = False) -> None:
        """Look at the routes: an address that is the same may have another router now. Cheap when they are the same.

        `changed` says that something in the network has, so the routers are asked too whether they remember us.
        """
        routes, before = self._routes(), self._routes_then
        if routes == before and not changed:
            return
        self._routes_then = routes
        for address in self._bases:
            self._follow(address)
        for keeper in self._keepers.values():
            keeper.look()

    def seen(self, base: Base) -> None:
        """Servers saw this base somewhere new."""
        self._changed(base.candidate.address)

    def _follow(self, address: str) -> None:
        if self._closed:
            return
        link, keeper = self._router_of(address), self._keepers.get(address)
        if keeper is not None and keeper.link == link:
            return
        if keeper is not None:
            self._drop(address)
            self._changed(address)
        if link is not None and len(self._keepers) < MAX_KEEPERS:
            self._keepers[address] = Keeper(link, self._port, self._seed, lambda: self._changed(address), self._places)

    def _drop(self, address: str) -> None:
        keeper = self._keepers.pop(address, None)
        if keeper is not None:
            self._leaving.add(keeper)
            self._tasks.spawn(self._leave(keeper), "leave")

    async def _leave(self, keeper: Keeper) -> None:
        await keeper.close()
        self._leaving.discard(keeper)

    def _changed(self, address: str) -> None:
        base = self._bases.get(address)
        if base is None:
            return
        candidate = self._candidate(base)
        if candidate != self._told.get(address):
            self._told[address] = candidate
            self._on_candidate(base, candidate)
        external = self._external_tcp(base)
        if external != self._told_tcp.get(address):
            self._told_tcp[address] = external
            self._on_tcp(address, external)

    def _external_tcp(self, base: Base) -> tuple[str, int] | None:
        keeper = self._keepers.get(base.candidate.address)
        lease = keeper.leases.get("tcp") if keeper is not None else None
        return None if lease is None or lease.grant is None else external_of(lease.grant, _seen(base))

    def _candidate(self, base: Base) -> Candidate | None:
        keeper = self._keepers.get(base.candidate.address)
        lease = keeper.leases.get("udp") if keeper is not None else None
        if lease is None or lease.grant is None:
            return None
        return mapped_candidate(base.candidate, lease.grant, _seen(base))

    async def settled(self) -> None:
        """Wait until every router has opened the port, or has not."""
        for keeper in list(self._keepers.values()):
            await keeper.settled.wait()

    def report(self) -> list[MappedPort]:
        """How each port does at each router."""
        return [
            entry
            for address, keeper in self._keepers.items()
            for entry in _report(keeper, _seen(self._bases[address]), asyncio.get_running_loop().time())
        ]

    async def close(self) -> None:
        """Take every port back, within about a second."""
        self._closed = True
        keepers = [*self._keepers.values(), *self._leaving]
        self._keepers.clear()
        await asyncio.gather(*(keeper.close() for keeper in keepers))
        await self._tasks.close()


def _seen(base: Base) -> Set[str]:
    """Where servers see this base."""
    return {candidate.address for candidate in base.reflexive.values()}


def _report(keeper: Keeper, seen: Set[str], now: float) -> list[MappedPort]:
    found = []
    for transport, wish in keeper.wishes.items():
        lease = keeper.leases.get(transport)
        grant = None if lease is None else lease.grant
        external = None if grant is None else external_of(grant, seen)
        error = (lease.error if lease is not None else None) or keeper.error
        found.append(
            MappedPort(
                transport=transport,
                local=(wish.address, wish.port),
                gateway=keeper.link.gateway,
                protocol=keeper.method.protocol if grant is not None and keeper.method is not None else None,
                external=external,
                lifetime=None if lease is None else lease.left(now),
                verified=verified(external, seen),
                error=error if grant is None else error or trouble(grant, seen),
            )
        )
    return found
