"""What the two sides of one link know of each other's NATs, and what follows from it for a search."""

from __future__ import annotations

import asyncio

from atmosphere.ice.hardnat.plan import NotTried, Plan, is_hard, plan
from atmosphere.mesh import wire
from atmosphere.mesh.hardnat_own import OwnNat
from atmosphere.mesh.hardnat_rules import UNTOLD, network_of, side_in
from atmosphere.mesh.hardnat_run import Run
from atmosphere.mesh.peerlink import PeerLink

__all__ = ["FAN_TRIES", "Told"]

FAN_TRIES = 3


class Told:
    """What one link's other side told, what it was told, and the search that is under way with it."""

    def __init__(self, link: PeerLink, own: OwnNat) -> None:
        self.theirs: wire.Nat = UNTOLD
        self.number = 0
        self.answer: asyncio.Future[wire.Punch] | None = None
        self.run: Run | None = None
        self.is_asked = False
        self._link = link
        self._own = own
        self._ours: wire.Nat | None = None

    def tell(self) -> None:
        """Say what our NAT does, where that is news."""
        nat = self._own.told()
        if self._ours != nat:
            self._ours = nat
            self._link.offer(nat)

    def plan(self, *, is_sampled: bool = False) -> Plan | NotTried:
        """Our part in a search, or why there is none; `is_sampled` says that our own ports were looked at just now."""
        if self._own.address is None:
            return NotTried("no STUN server answers this side", is_final=False)
        ours = side_in(self._own.told())
        mine = plan(ours, side_in(self.theirs))
        if is_sampled and isinstance(mine, Plan) and mine.part == "fan" and ours.allocation.kind == "unknown":
            return NotTried("both routers change ports, and how this side's chooses them could not be seen")
        return mine

    def entry(self) -> tuple[str, object, int]:
        """What the ledger knows a search by, and how often it may be made: two sequential NATs can miss each other."""
        ours = self._own.told()
        networks = (network_of(ours), network_of(self.theirs), self._link.boot)
        are_both_hard = is_hard(ours.mapping) and is_hard(self.theirs.mapping)
        return self._link.peer_id, networks, FAN_TRIES if are_both_hard else 1
