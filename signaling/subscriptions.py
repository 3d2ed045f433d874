"""What a client wants of its server for as long as it lives (pure): topics, and ids whose presence it is told.

All of it is asked for again in each new connection, and once more whatever the server was too busy for.
"""

from __future__ import annotations

from collections.abc import Callable

from signaling.messages import Subscribe, Watch


class Subscriptions:
    """Topics and watched ids, and the requests under way that repeat them; `new_ref` numbers these."""

    def __init__(self, new_ref: Callable[[], int]) -> None:
        self.topics: dict[str, None] = {}
        self.watched: tuple[str, ...] = ()
        self._new_ref = new_ref
        self._asked: dict[int, str | None] = {}
        """By number, the topics asked for again; None stands for the watched ids."""
        self._refused: dict[str | None, None] = {}

    def all(self) -> list[Subscribe | Watch]:
        """What to say in a new connection."""
        self._asked.clear()
        self._refused = dict.fromkeys([*self.topics, None])
        return self.again()

    def again(self) -> list[Subscribe | Watch]:
        """What to say once more, as far as it is still wanted."""
        refused, self._refused = self._refused, {}
        return [request for request in map(self._request, refused) if request is not None]

    def _request(self, topic: str | None) -> Subscribe | Watch | None:
        if topic not in self.topics if topic is not None else not self.watched:
            return None
        ref = self._new_ref()
        self._asked[ref] = topic
        return Watch(list(self.watched), ref) if topic is None else Subscribe(topic, ref)

    def answered(self, ref: int | None, *, busy: bool) -> bool:
        """The server answered one of these requests; whether it is to be said again, later."""
        if ref not in self._asked:
            return False
        topic = self._asked.pop(ref)
        if busy:
            self._refused[topic] = None
        return busy
