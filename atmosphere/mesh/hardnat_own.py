"""Our own NAT, as peers are told of it: what servers saw anyway, and the ports it gave when that was tried."""

from __future__ import annotations

import random

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.hardnat.allocation import allocation_of
from atmosphere.ice.hardnat.sample import sample_ports
from atmosphere.mesh.hardnat_rules import tell
from atmosphere.mesh.wire import Nat

__all__ = ["OwnNat"]

FRESH_PORTS, MOST_FRESH = range(20000, 60000), 16
_STEADY = ("none", "endpoint-independent")


class OwnNat:
    """What we know of it; `searches` says whether this node takes part in searches."""

    def __init__(self, endpoint: IceEndpoint, *, searches: bool) -> None:
        self._view = endpoint.nat
        self._searches = searches
        self._given: list[tuple[int, int]] = []
        self._given_by: str | None = None
        self._fresh: list[int] = []

    @property
    def address(self) -> str | None:
        """Our public address; None while no server answers."""
        public = self._view.public
        return None if public is None else public[0]

    @property
    def given(self) -> list[int]:
        """The ports that it gave last, newest at the end; none after a change of network."""
        is_current = self._given_by is not None and self._given_by == self.address
        return [public for _, public in self._given] if is_current else []

    @property
    def opening(self) -> list[int]:
        """The local ports to open first: where it preserves ports, these are the public ones."""
        return self._fresh if self.given and self.told().allocation == "preserved" else []

    def told(self) -> Nat:
        """What to say of it now."""
        allocation = allocation_of(self._given) if self.given else self._view.allocation
        return tell(self._view.behaviour, allocation, self._view.public, searches=self._searches)

    async def sample(self) -> None:
        """See which ports it gives now, where that may matter: a few sockets ask a server."""
        base, address = self._view.base, self.address
        if base is not None and self._view.behaviour.mapping not in _STEADY:
            self._given = await sample_ports(base.candidate.address, self._view.servers[0])
            self._given_by = address
            self._fresh = random.sample(FRESH_PORTS, MOST_FRESH)
