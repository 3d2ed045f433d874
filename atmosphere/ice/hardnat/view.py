"""What is known of our own NAT for free: from the STUN servers that are asked anyway, and from peers' answers. Pure.

IPv4 only: IPv6 has firewalls, and those let in whom we sent to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from atmosphere.ice.gather import Gatherer
from atmosphere.ice.hardnat.allocation import PortAllocation, allocation_of
from atmosphere.ice.nat import NatBehaviour, Seen, mapping_of, type_of

if TYPE_CHECKING:
    from atmosphere.ice.base import Base
    from atmosphere.ice.events import PairReport

__all__ = ["NatView", "behaviour_of"]

Address = tuple[str, int]

SESSIONS = 16
"""Sessions that are asked what their peers saw, at most."""


def behaviour_of(local: Address, servers: Sequence[Seen], peers: Iterable[Seen], *, asked: int) -> NatBehaviour:
    """What our NAT does, from what servers saw of the socket at `local`; `asked` is how many were asked.

    Where these are too few to tell, what peers saw counts as well, if they saw the same public address: others may sit
    on our side of an outer NAT.
    """
    mapping = mapping_of(local, servers)
    if mapping == "unknown" and servers:
        public = {seen.mapped[0] for seen in servers}
        mapping = mapping_of(local, [*servers, *(seen for seen in peers if seen.mapped[0] in public)])
    kind = type_of(mapping, "unknown", asked=asked, answered=len(servers))
    return NatBehaviour(mapping=mapping, type=kind)


class NatView:
    """Looks at the endpoint's bases, its gatherer, and the pairs of its sessions (`reports`) when it is asked."""

    def __init__(
        self,
        bases: Mapping[int, Base],
        gatherer: Gatherer,
        reports: Callable[[], Iterable[Callable[[], list[PairReport]]]],
    ) -> None:
        self._bases = bases
        self._gatherer = gatherer
        self._reports = reports

    @property
    def base(self) -> Base | None:
        """The IPv4 socket that servers see, the best where there are several; None while no server answered."""
        sockets = [base for base in self._sockets() if self._gatherer.seen(base.id)]
        return max(sockets, key=lambda base: base.candidate.priority, default=None)

    @property
    def public(self) -> Address | None:
        """Where the server that answered last saw that socket."""
        base = self.base
        seen = self._gatherer.seen(base.id) if base is not None else []
        return seen[-1].mapped if seen else None

    @property
    def servers(self) -> list[Address]:
        """The STUN servers that answered that socket."""
        base = self.base
        return [] if base is None else [seen.server for seen in self._gatherer.seen(base.id)]

    def discoverers(self) -> tuple[str, list[Address]]:
        """That socket's local address, and those of the servers that know RFC 5780, as far as they say."""
        base = self.base
        return ("", []) if base is None else (base.candidate.address, self._gatherer.discoverers(base.id))

    @property
    def behaviour(self) -> NatBehaviour:
        """What our NAT does, as far as that can be told now."""
        base = self.base
        if base is None:
            asked = sum(self._gatherer.unanswered(one.id) for one in self._sockets())
            return behaviour_of(("", 0), [], [], asked=asked)
        seen = self._gatherer.seen(base.id)
        return behaviour_of(base.candidate.endpoint, seen, self._seen_by_peers(base.id), asked=len(seen))

    @property
    def allocation(self) -> PortAllocation:
        """How it chooses ports, from those that servers saw of one socket; unknown where that is one port."""
        base = self.base
        if base is None:
            return PortAllocation()
        return allocation_of([(base.candidate.port, seen.mapped[1]) for seen in self._gatherer.seen(base.id)])

    def _sockets(self) -> list[Base]:
        return [base for base in self._bases.values() if not base.is_relay and base.candidate.family == 4]

    def _seen_by_peers(self, base: int) -> Iterator[Seen]:
        for report in islice(self._reports(), SESSIONS):
            for pair in report():
                if pair.base == base and pair.state == "succeeded":
                    yield Seen(pair.remote.endpoint, pair.local.endpoint)
