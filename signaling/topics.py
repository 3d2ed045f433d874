"""Who is subscribed to which topic (pure)."""

from __future__ import annotations


class Topics:
    """The subscriptions of all nodes; a topic exists while it has subscribers."""

    def __init__(self, per_node: int, per_topic: int) -> None:
        self._per_node = per_node
        self._per_topic = per_topic
        self._subscribers: dict[str, dict[str, None]] = {}
        self._topics: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self, node: str, topic: str) -> bool:
        """Add a subscription; False when the node has too many topics or the topic too many subscribers."""
        topics = self._topics.get(node, set())
        if topic in topics:
            return True
        subscribers = self._subscribers.get(topic, {})
        if len(topics) >= self._per_node or len(subscribers) >= self._per_topic:
            return False
        self._topics.setdefault(node, topics).add(topic)
        self._subscribers.setdefault(topic, subscribers)[node] = None
        return True

    def unsubscribe(self, node: str, topic: str) -> None:
        """End a subscription; nothing happens when there is none."""
        topics = self._topics.get(node)
        if topics is None or topic not in topics:
            return
        topics.discard(topic)
        if not topics:
            del self._topics[node]
        subscribers = self._subscribers[topic]
        del subscribers[node]
        if not subscribers:
            del self._subscribers[topic]

    def remove(self, node: str) -> None:
        """End all subscriptions of a node that left."""
        for topic in tuple(self._topics.get(node, ())):
            self.unsubscribe(node, topic)

    def has_room(self, node: str) -> bool:
        """Whether `node` may have one topic more."""
        return len(self._topics.get(node, ())) < self._per_node

    def of(self, node: str) -> tuple[str, ...]:
        """The topics that `node` is subscribed to."""
        return tuple(self._topics.get(node, ()))

    def subscribers(self, topic: str) -> int:
        """How many are subscribed to `topic`."""
        return len(self._subscribers.get(topic, ()))

    def counts(self) -> list[tuple[str, int]]:
        """Every topic, and how many are subscribed to it."""
        return [(topic, len(subscribers)) for topic, subscribers in self._subscribers.items()]

    def receivers(self, topic: str, sender: str) -> list[str]:
        """Everybody who is subscribed, without the sender, the longest subscribed first."""
        return [node for node in self._subscribers.get(topic, {}) if node != sender]
