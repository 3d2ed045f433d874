"""The allocations there are: by relayed address, and by when they end. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count

from atmosphere.turn.server.allocation import Allocation, Relayed
from atmosphere.turn.server.flow import Address


class Table:
    """Living allocations. A client's own hangs on its flow."""

    def __init__(self) -> None:
        self.by_address: dict[Address, Relayed] = {}
        """Relayed transport address, as the world sees it → who has it. The data path reads it directly."""
        self._all: dict[Allocation, None] = {}
        self._ends: list[tuple[float, int, Allocation]] = []
        self._number = count()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Allocation]:
        return iter(list(self._all))

    def add(self, allocation: Allocation) -> None:
        """An allocation begins."""
        self._all[allocation] = None
        allocation.flow.allocation = allocation
        for relayed in allocation.relayed.values():
            if relayed.shared is None:
                self.by_address[relayed.address] = relayed
        self._watch(allocation)

    def remove(self, allocation: Allocation) -> None:
        """It is over."""
        self._all.pop(allocation, None)
        allocation.flow.allocation = None
        for relayed in allocation.relayed.values():
            if self.by_address.get(relayed.address) is relayed:
                del self.by_address[relayed.address]
        self._compact()

    def having(self, wanted: Callable[[Allocation], bool]) -> list[Allocation]:
        """Those that are `wanted`."""
        return [allocation for allocation in self._all if wanted(allocation)]

    def shortened(self, allocation: Allocation) -> None:
        """It ends earlier than it would have."""
        self._watch(allocation)

    def _watch(self, allocation: Allocation) -> None:
        allocation.watched = next(self._number)
        heapq.heappush(self._ends, (allocation.expires, allocation.watched, allocation))
        self._compact()

    def _compact(self) -> None:
        """What no longer counts stays in the heap until its time, unless it is most of it."""
        if len(self._ends) > 64 + 2 * len(self._all):
            self._ends = [entry for entry in self._ends if self._counts(entry)]
            heapq.heapify(self._ends)

    def _counts(self, entry: tuple[float, int, Allocation]) -> bool:
        return entry[2] in self._all and entry[1] == entry[2].watched

    def deadline(self) -> float | None:
        """When `expired` is next worth asking."""
        return self._ends[0][0] if self._ends else None

    def expired(self, now: float) -> list[Allocation]:
        """Those whose time is over; one that was refreshed meanwhile is looked at again when its new time comes."""
        found = []
        while self._ends and self._ends[0][0] <= now:
            entry = heapq.heappop(self._ends)
            if not self._counts(entry):
                continue
            allocation = entry[2]
            if allocation.expires <= now:
                found.append(allocation)
            else:
                self._watch(allocation)
        return found
