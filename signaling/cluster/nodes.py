"""How one instance of a cluster serves its own nodes (pure): as hub.py does, knowing who is elsewhere.

A message is held as copies.py says until its receiver has it. A publication is for whoever is there: it goes to all
instances at once and is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from signaling.cluster.copies import PATIENCE, Answer, Copies, Copy, Speak
from signaling.cluster.directory import Directory
from signaling.cluster.lines import Lines
from signaling.cluster.wire import Gone, Here, Interest, Left, Published
from signaling.hub import Delivery, Hub
from signaling.mailbox import Key, Put, Stored
from signaling.messages import (
    ClientMessage,
    Delivered,
    Done,
    Error,
    Got,
    Incoming,
    Presence,
    Publish,
    Send,
    Subscribe,
    Unsubscribe,
    Watch,
)
from signaling.metrics import Metrics
from signaling.settings import Settings

GRACE = 10.0
"""Seconds that a written message is kept for its `got`, however short its own time."""


class ClusterNodes(Hub):
    """The nodes of the instance `own`; `unix_offset` is what to add to `now` for Unix time."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        is_member: Callable[[str], bool] | None = None,
        *,
        own: str,
        speak: Speak,
        dead_after: float,
        unix_offset: float = 0.0,
    ) -> None:
        super().__init__(settings, metrics, is_member)
        self._speak = speak
        self._unix_offset = unix_offset
        self.directory = Directory(own, dead_after)
        self.copies = Copies(self.mailboxes, self.directory, speak)
        self._lines = Lines(settings.in_flight_messages + settings.mailbox_messages)

    # Our own nodes

    def connect(self, node: str, now: float, *, got: bool = False) -> list[Delivery]:
        """As Hub.connect; with `got`, messages are numbered and kept until the node says that it has them."""
        former = self.directory.place(node)
        self._forget(node)
        self.online.add(node)
        self.copies.forget_sender(node)
        self._lines.open(node, got=got)
        stamp = self.directory.enter(node, int((now + self._unix_offset) * 1000))
        self._speak(None, Here(node, stamp))
        deliveries = [
            delivery
            for stored in self.mailboxes.waiting(node)
            for delivery in self._write(Key(node, stored.sender, stored.id), stored, now)
        ]
        return deliveries if former else deliveries + self._news(node, online=True)

    def disconnect(self, node: str) -> list[Delivery]:
        """As Hub.disconnect."""
        self._leaves_us(node)
        stamp = self.directory.leave(node)
        if stamp is None:
            return []
        self._speak(None, Left(node, stamp))
        self._moved(node)
        return self._news(node, online=False)

    def _leaves_us(self, node: str) -> None:
        """The connection of `node` to this instance is over."""
        self.online.discard(node)
        self.copies.forget_sender(node)
        self._lines.close(node)
        self._forget(node)

    def receive(self, node: str, message: ClientMessage, now: float) -> list[Delivery]:
        """As Hub.receive, and `got`."""
        if isinstance(message, Got):
            return [delivery for key in self._lines.got(node, message.seq) for delivery in self._got(key, now)]
        return super().receive(node, message, now)

    def is_free(self, node: str, message: ClientMessage) -> bool:
        """Whether a message counts against no rate: a `got` that says something, since we asked for it."""
        return isinstance(message, Got) and self._lines.says_something(node, message.seq)

    def expire(self, now: float) -> list[Delivery]:
        """Forget what is too old; the answers for its senders."""
        expired = self.mailboxes.expire(now)
        self._metrics.count("messages_expired_total", len(expired))
        self._recent.expire(now)
        return deliveries_of(answer for key in expired for answer in self.copies.expired(key))

    def _send(self, node: str, message: Send, now: float) -> list[Delivery]:
        key = Key(message.to, node, message.id)
        if key in self._recent:
            self._metrics.count("messages_duplicate_total")
            return [Delivery((node,), Delivered(message.ref))]
        copy = self.copies.find(key)
        if copy is not None:
            self._metrics.count("messages_duplicate_total")
            self.copies.sender_asks(key, message.ref)
            return deliveries_of(self.copies.review(key, now))
        place = self.directory.place(key.to)
        if place is None and not message.ttl:
            self._metrics.count("messages_offline_total")
            return [Delivery((node,), Error("offline", "the receiver is away", message.ref))]
        left = message.ttl if place is None else max(message.ttl, GRACE)
        copy = Copy([self.directory.own], sender_waits=message.ref)
        put = self.copies.add(key, message.payload, left, now, copy)
        self._metrics.count(f"messages_{put.value}_total", place is None or put is Put.FULL)
        if put is Put.FULL:
            self._metrics.count(f"limited_{self.mailboxes.limited_by}_total")
            return [Delivery((node,), Error("full", "the receiver's mailbox is full", message.ref))]
        return self._pass_on(key, now)

    def _pass_on(self, key: Key, now: float) -> list[Delivery]:
        """Write a new message to its receiver, or send it to where that is."""
        if key.to not in self.online:
            return deliveries_of(self.copies.review(key, now))
        stored = self.mailboxes.find(key)
        deliveries = self._write(key, stored, now) if stored else []
        if self.copies.find(key) and not self.directory.live:
            return deliveries + deliveries_of(self.copies.review(key, now))
        self.copies.look_again(key, now + PATIENCE)
        return deliveries

    def _write(self, key: Key, stored: Stored, now: float) -> list[Delivery]:
        """Write a message that is held here to its receiver, who is here."""
        self._metrics.count("messages_delivered_total")
        self.copies.note_written(key)
        seq = self._lines.number(key.to, key)
        written = Delivery((key.to,), Incoming(stored.sender, stored.payload, stored.id, None, seq))
        # Whoever does not say `got` has it as soon as it is written, as far as can be known.
        return [written] if seq is not None else [written, *self._got(key, now)]

    def _got(self, key: Key, now: float) -> list[Delivery]:
        if self._recent.add(key, now):
            self._speak(None, Gone(*key))
        return deliveries_of(self.copies.drop(key))

    def _publish(self, node: str, message: Publish, now: float) -> list[Delivery]:
        here = tuple(self.topics.receivers(message.topic, node))
        receivers = len(here) + self.directory.subscribers(message.topic)
        answer = Delivery((node,), Delivered(message.ref, receivers))
        if not self._recent.add(("", message.topic, node, message.id), now):
            self._metrics.count("messages_duplicate_total")
            return [answer]
        self._speak(None, Published(message.topic, node, message.id, message.payload))
        return [*self._hand_out(here, node, message), answer]

    def _hand_out(self, receivers: tuple[str, ...], sender: str, message: Publish | Published) -> list[Delivery]:
        self._metrics.count("messages_delivered_total", len(receivers))
        incoming = Incoming(sender, message.payload, message.id, message.topic)
        return [Delivery(receivers, incoming)] if receivers else []

    def _subscribe(self, node: str, message: Subscribe, now: float) -> list[Delivery]:
        answer = super()._subscribe(node, message, now)
        self._tell_interest(message.topic)
        return answer

    def _unsubscribe(self, node: str, message: Unsubscribe, now: float) -> list[Delivery]:
        answer = super()._unsubscribe(node, message, now)
        self._tell_interest(message.topic)
        return answer

    def _forget(self, node: str) -> None:
        topics = self.topics.of(node)
        super()._forget(node)
        for topic in topics:
            self._tell_interest(topic)

    def _tell_interest(self, topic: str) -> None:
        self._speak(None, Interest(topic, self.topics.subscribers(topic)))

    def _watch(self, node: str, message: Watch, now: float) -> list[Delivery]:
        if not self.watchers.watch(node, message.ids):
            return self._over_limit(node, "watched_per_connection", "too many watched ids", message.ref)
        ids = dict.fromkeys(message.ids)
        told = [Delivery((node,), Presence(one, self.directory.place(one) is not None)) for one in ids]
        return [*told, Delivery((node,), Done(message.ref))]

    def _moved(self, node: str) -> None:
        """What waits for `node` may have to be somewhere else."""
        self.copies.hurry(Key(node, stored.sender, stored.id) for stored in self.mailboxes.waiting(node))

    _HANDLERS = Hub._HANDLERS | {
        Send: _send,
        Publish: _publish,
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        Watch: _watch,
    }


def deliveries_of(answers: Iterable[Answer]) -> list[Delivery]:
    """Answers as what is to be sent."""
    return [Delivery((node,), message) for node, message in answers]
