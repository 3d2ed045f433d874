"""What happens to a message: the server's tables put together, without any connection (pure).

A server serves everybody, or the members of one mesh: then a stranger may do one thing, send to a member, as it must to
become one; and members may answer.

Nodes are named by id; each id has one connection, which the server looks up. Every method returns what is to be sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from signaling.mailbox import Mailboxes, Put, RecentIds
from signaling.messages import (
    ClientMessage,
    Delivered,
    Done,
    Error,
    Got,
    Incoming,
    Presence,
    Publish,
    Queued,
    Send,
    ServerMessage,
    Subscribe,
    Unsubscribe,
    Watch,
)
from signaling.metrics import Metrics
from signaling.presence import Watchers
from signaling.settings import Settings
from signaling.topics import Topics


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for several nodes."""

    to: tuple[str, ...]
    message: ServerMessage
    close: int | None = None
    """The code with which these nodes' connections are closed after it."""


class Hub:
    """Who is here, and where each message goes."""

    def __init__(self, settings: Settings, metrics: Metrics, is_member: Callable[[str], bool] | None = None) -> None:
        self._metrics = metrics
        self._is_member = is_member
        self.online: set[str] = set()
        self.mailboxes = Mailboxes(settings)
        self.topics = Topics(settings.topics_per_connection, settings.subscribers_per_topic)
        self.watchers = Watchers(settings.watched_per_connection)
        self._recent = RecentIds(settings.remembered_ids, settings.max_ttl)

    def connect(self, node: str, now: float, *, got: bool = False) -> list[Delivery]:
        """`node` has a new connection: what waited for it, and the news for those who watch it.

        `got`: it says `got` for numbered messages; here none is numbered.
        """
        waiting = self.mailboxes.take(node, now)
        self._metrics.count("messages_delivered_total", len(waiting))
        for stored in waiting:
            self._recent.add((node, stored.sender, stored.id), now)
        deliveries = [Delivery((node,), Incoming(m.sender, m.payload, m.id)) for m in waiting]
        self._forget(node)
        if node not in self.online:
            self.online.add(node)
            deliveries += self._news(node, online=True)
        return deliveries

    def disconnect(self, node: str) -> list[Delivery]:
        """`node` has no connection any more: the news for those who watch it."""
        self.online.discard(node)
        self._forget(node)
        return self._news(node, online=False)

    def receive(self, node: str, message: ClientMessage, now: float) -> list[Delivery]:
        """What a message of `node` leads to; its answer comes last, so that `delivered` means it was written."""
        handler = self._HANDLERS.get(type(message))
        if handler is None and isinstance(message, Got):
            return []  # nothing was numbered
        if handler is None:
            return [Delivery((node,), Error("malformed", "a hello is sent once, as the first frame"))]
        if not self.serves(node) and not (isinstance(message, Send) and self.serves(message.to)):
            self._metrics.count("forbidden_total")
            text = "this server takes only messages to its members"
            return [Delivery((node,), Error("forbidden", text, getattr(message, "ref", None)))]
        return handler(self, node, message, now)

    def serves(self, node: str) -> bool:
        """Whether `node` is one of those this server is for."""
        return self._is_member is None or self._is_member(node)

    def is_free(self, node: str, message: ClientMessage) -> bool:
        """Whether a message counts against no rate."""
        return False

    def expire(self, now: float) -> list[Delivery]:
        """Forget what is too old; whom to tell about it."""
        self._metrics.count("messages_expired_total", len(self.mailboxes.expire(now)))
        self._recent.expire(now)
        return []

    def _forget(self, node: str) -> None:
        self.topics.remove(node)
        self.watchers.remove(node)

    def _news(self, node: str, *, online: bool) -> list[Delivery]:
        watchers = tuple(self.watchers.watchers(node))
        return [Delivery(watchers, Presence(node, online))] if watchers else []

    def _send(self, node: str, message: Send, now: float) -> list[Delivery]:
        key = (message.to, node, message.id)
        if key in self._recent:
            self._metrics.count("messages_duplicate_total")
            return [Delivery((node,), Delivered(message.ref))]
        if message.to in self.online:
            self._recent.add(key, now)
            self._metrics.count("messages_delivered_total")
            return [
                Delivery((message.to,), Incoming(node, message.payload, message.id)),
                Delivery((node,), Delivered(message.ref)),
            ]
        if not message.ttl:
            self._metrics.count("messages_offline_total")
            return [Delivery((node,), Error("offline", "the receiver is away", message.ref))]
        return [Delivery((node,), self._store(node, message, now))]

    def _store(self, node: str, message: Send, now: float) -> ServerMessage:
        result = self.mailboxes.put(message.to, node, message.id, message.payload, message.ttl, now)
        self._metrics.count(f"messages_{result.value}_total")
        if result is Put.FULL:
            self._metrics.count(f"limited_{self.mailboxes.limited_by}_total")
            return Error("full", "the receiver's mailbox is full", message.ref)
        return Queued(message.ref)

    def _publish(self, node: str, message: Publish, now: float) -> list[Delivery]:
        receivers = tuple(self.topics.receivers(message.topic, node))
        answer = Delivery((node,), Delivered(message.ref, len(receivers)))
        if not receivers:
            return [answer]
        if not self._recent.add(("", message.topic, node, message.id), now):
            self._metrics.count("messages_duplicate_total")
            return [answer]
        self._metrics.count("messages_delivered_total", len(receivers))
        return [Delivery(receivers, Incoming(node, message.payload, message.id, message.topic)), answer]

    def _subscribe(self, node: str, message: Subscribe, now: float) -> list[Delivery]:
        if not self.topics.subscribe(node, message.topic):
            limit = "subscribers_per_topic" if self.topics.has_room(node) else "topics_per_connection"
            return self._over_limit(node, limit, "too many topics, or too many subscribers to this one", message.ref)
        return [Delivery((node,), Done(message.ref))]

    def _unsubscribe(self, node: str, message: Unsubscribe, now: float) -> list[Delivery]:
        self.topics.unsubscribe(node, message.topic)
        return [Delivery((node,), Done(message.ref))]

    def _watch(self, node: str, message: Watch, now: float) -> list[Delivery]:
        if not self.watchers.watch(node, message.ids):
            return self._over_limit(node, "watched_per_connection", "too many watched ids", message.ref)
        told = [Delivery((node,), Presence(watched, watched in self.online)) for watched in dict.fromkeys(message.ids)]
        return [*told, Delivery((node,), Done(message.ref))]

    def _over_limit(self, node: str, limit: str, text: str, ref: int) -> list[Delivery]:
        self._metrics.count("limits_refused_total")
        self._metrics.count(f"limited_{limit}_total")
        return [Delivery((node,), Error("limit", text, ref))]

    _HANDLERS: dict[type, Callable[..., list[Delivery]]] = {  # noqa: RUF012 (a table, never changed)
        Send: _send,
        Publish: _publish,
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        Watch: _watch,
    }
