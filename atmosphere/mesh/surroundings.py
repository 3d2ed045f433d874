"""What changed around this node since somebody last looked: its addresses, the ports that its router opened. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from atmosphere.mesh.events import NetworkChanged, PortMapped

__all__ = ["Surroundings"]


class Surroundings:
    """`look` again whenever something may have changed; the first look tells nothing of addresses."""

    def __init__(self) -> None:
        self._addresses: frozenset[str] | None = None
        self._mapped: frozenset[tuple[str, int]] = frozenset()

    def look(self, addresses: Iterable[str], mapped: Iterable[tuple[str, int]]) -> list[NetworkChanged | PortMapped]:
        """The events for what is new."""
        known, self._addresses = self._addresses, frozenset(addresses)
        opened, self._mapped = frozenset(mapped) - self._mapped, frozenset(mapped)
        found: list[NetworkChanged | PortMapped] = [PortMapped(*place) for place in sorted(opened)]
        if known is not None and known != self._addresses:
            gained, lost = sorted(self._addresses - known), sorted(known - self._addresses)
            found.insert(0, NetworkChanged(tuple(sorted(self._addresses)), tuple(gained), tuple(lost)))
        return found
