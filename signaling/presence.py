"""Who wants to know whether whom is connected (pure)."""

from __future__ import annotations

from collections.abc import Iterable


class Watchers:
    """Which node watches which ids."""

    def __init__(self, per_node: int) -> None:
        self._per_node = per_node
        self._watched: dict[str, frozenset[str]] = {}
        self._watchers: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, node: str, ids: Iterable[str]) -> bool:
        """Replace the ids that `node` watches; False, and nothing changes, when they are too many."""
        wanted = frozenset(ids)
        if len(wanted) > self._per_node:
            return False
        self.remove(node)
        if wanted:
            self._watched[node] = wanted
        for watched in wanted:
            self._watchers.setdefault(watched, set()).add(node)
        return True

    def remove(self, node: str) -> None:
        """`node` watches nobody any more."""
        for watched in self._watched.pop(node, ()):
            watchers = self._watchers[watched]
            watchers.discard(node)
            if not watchers:
                del self._watchers[watched]

    def watchers(self, watched: str) -> list[str]:
        """Who is to be told about `watched`, in a stable order."""
        return sorted(self._watchers.get(watched, ()))
