"""The hub of one instance of a cluster (pure): the same protocol for its nodes, whoever has the others.

What it has to say to other instances goes through `speak`; what they say comes in by `hear`; `tick` lets time pass,
some ten times a second. Alone, because there is no other instance or none can be heard, it serves its own nodes and
keeps messages by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from signaling.cluster.copies import Copy, Speak
from signaling.cluster.nodes import ClusterNodes, deliveries_of
from signaling.cluster.wire import (
    ROSTER_PART,
    AnyEvent,
    Ask,
    Beat,
    Bye,
    Frame,
    Full,
    Gone,
    Have,
    Here,
    Interest,
    Keep,
    Left,
    Published,
    Roster,
    Used,
)
from signaling.hub import Delivery
from signaling.mailbox import Key, Put
from signaling.messages import Error
from signaling.metrics import Metrics
from signaling.settings import Settings

REPLACED = 4001
"""The close code for a connection whose id connected again."""

BEAT = 0.5
"""Seconds between two signs of life."""

ROSTER_PAUSE = 1.0
ASK_PAUSE = 2.0
"""Seconds between two rosters, and between two questions for one: a roster is long, and makes the busy busier."""


class ClusterHub(ClusterNodes):
    """Who is where, and where each message goes; `used` is told what addresses used of a rate elsewhere."""

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
        used: Callable[[Used, float], None] = lambda *_: None,
    ) -> None:
        super().__init__(
            settings, metrics, is_member, own=own, speak=speak, dead_after=dead_after, unix_offset=unix_offset
        )
        self._used = used
        self._beat_at = -BEAT
        self._roster_wanted = False
        self._roster_at = -ROSTER_PAUSE
        self._asked: dict[str, float] = {}
        self._left: deque[str] = deque(maxlen=64)
        """Instances that said goodbye; what of theirs is still under way does not bring them back."""

    def hear(self, frame: Frame, now: float) -> list[Delivery]:
        """What follows from what another instance says; its own frames mean nothing."""
        instance = frame.instance
        if instance == self.directory.own or instance in self._left:
            return []
        if self.directory.hear(instance, frame.seq):
            # One that has just begun knows nobody; one that was away for a moment asks for what it missed.
            self._roster_wanted = self._roster_wanted or frame.seq == 1
            self.copies.look_at_all()
        deliveries: list[Delivery] = []
        for event in frame.events:
            deliveries += self._HEARD[type(event)](self, instance, event, now)
        return deliveries + deliveries_of(self.copies.hurried(now))

    def _hear_keep(self, instance: str, keep: Keep, now: float) -> list[Delivery]:
        key = Key(keep.to, keep.sender, keep.id)
        if key in self._recent:
            self._metrics.count("messages_duplicate_total")
            self._speak(None, Gone(*key))  # somebody has missed it
            return []
        copy = self.copies.find(key)
        if copy is not None:
            self.copies.learn(key, keep.holders, instance)
            self._speak(instance, Have(*key, copy.written))
            return []
        copy = Copy(keep.holders, {instance})
        if self.copies.add(key, keep.payload, keep.left, now, copy) is Put.FULL:
            self._metrics.count("messages_full_total")
            self._metrics.count(f"limited_{self.mailboxes.limited_by}_total")
            self._speak(instance, Full(*key))
            return []
        self._metrics.count("copies_taken_total")
        self._speak(instance, Have(*key, key.to in self.online))
        return self._pass_on(key, now) if key.to in self.online else []

    def _hear_have(self, instance: str, have: Have, now: float) -> list[Delivery]:
        return deliveries_of(self.copies.confirm(have, Key(have.to, have.sender, have.id), instance, now))

    def _hear_full(self, instance: str, full: Full, now: float) -> list[Delivery]:
        return deliveries_of(self.copies.refused(Key(full.to, full.sender, full.id), now))

    def _hear_gone(self, instance: str, gone: Gone, now: float) -> list[Delivery]:
        key = Key(gone.to, gone.sender, gone.id)
        self._recent.add(key, now)
        return deliveries_of(self.copies.drop(key))

    def _hear_here(self, instance: str, here: Here, now: float) -> list[Delivery]:
        return self._arrived(here.node, here.stamp, instance, now)

    def _arrived(self, node: str, stamp: int, instance: str, now: float) -> list[Delivery]:
        absent = self.directory.place(node) is None
        if not self.directory.move(node, stamp, instance):
            return []
        self._moved(node)
        deliveries = self._news(node, online=True) if absent else []
        if node in self.online:
            self._leaves_us(node)
            self._metrics.count("replaced_total")
            deliveries.append(Delivery((node,), Error("replaced", "this id connected again"), REPLACED))
        return deliveries

    def _hear_left(self, instance: str, left: Left, now: float) -> list[Delivery]:
        return self._departed([left.node] if self.directory.depart(left.node, left.stamp, instance) else [], now)

    def _departed(self, nodes: Iterable[str], now: float) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for node in nodes:
            self._moved(node)
            deliveries += self._news(node, online=False)
        return deliveries

    def _hear_interest(self, instance: str, interest: Interest, now: float) -> list[Delivery]:
        self.directory.interest(instance, interest.topic, interest.subscribers)
        return []

    def _hear_published(self, instance: str, published: Published, now: float) -> list[Delivery]:
        if not self._recent.add(("", published.topic, published.sender, published.id), now):
            self._metrics.count("messages_duplicate_total")
            return []
        receivers = tuple(self.topics.receivers(published.topic, published.sender))
        return self._hand_out(receivers, published.sender, published)

    def _hear_used(self, instance: str, used: Used, now: float) -> list[Delivery]:
        self._used(used, now)
        return []

    def _hear_roster(self, instance: str, roster: Roster, now: float) -> list[Delivery]:
        if roster.first:
            self.directory.roster_begins(instance)
        deliveries = [one for node, stamp in roster.nodes for one in self._arrived(node, stamp, instance, now)]
        for topic, subscribers in roster.topics:
            self.directory.interest(instance, topic, subscribers)
        return deliveries + self._departed(self.directory.roster_ends(instance) if roster.last else [], now)

    def _hear_ask(self, instance: str, ask: Ask, now: float) -> list[Delivery]:
        self._roster_wanted = True
        return []

    def _hear_beat(self, instance: str, beat: Beat, now: float) -> list[Delivery]:
        return []

    def _hear_bye(self, instance: str, bye: Bye, now: float) -> list[Delivery]:
        self._left.append(instance)
        return self._remove(instance, now)

    def _remove(self, instance: str, now: float) -> list[Delivery]:
        self._asked.pop(instance, None)
        deliveries = self._departed(self.directory.remove(instance), now)
        self.copies.look_at_all()
        return deliveries

    # Time

    def tick(self, now: float) -> list[Delivery]:
        """Give signs of life, notice the dead, send again what is unconfirmed."""
        deliveries: list[Delivery] = []
        for instance in self.directory.silent(now):
            self._metrics.count("instances_lost_total")
            deliveries += self._remove(instance, now)
        for instance in self.directory.out_of_step():
            if now - self._asked.get(instance, -ASK_PAUSE) >= ASK_PAUSE:
                self._asked[instance] = now
                self._speak(instance, Ask())
        if self._roster_wanted and now - self._roster_at >= ROSTER_PAUSE:
            self._roster_wanted, self._roster_at = False, now
            self._say_roster()
        if now - self._beat_at >= BEAT:
            self._beat_at = now
            self._speak(None, Beat())
        return deliveries + deliveries_of(self.copies.due(now))

    def _say_roster(self) -> None:
        nodes, topics = self.directory.stamps(), self.topics.counts()
        starts = range(0, max(len(nodes), len(topics), 1), ROSTER_PART)
        for start in starts:
            part = slice(start, start + ROSTER_PART)
            self._speak(None, Roster(start == 0, start == starts[-1], nodes[part], topics[part]))

    def leave(self) -> None:
        """Begin to go: see to a second copy of everything, at once."""
        self.copies.look_at_all()

    def say_bye(self) -> None:
        """Gone."""
        self._speak(None, Bye())

    _HEARD: dict[type[AnyEvent], Callable[..., list[Delivery]]] = {  # noqa: RUF012 (a table, never changed)
        Keep: _hear_keep,
        Have: _hear_have,
        Full: _hear_full,
        Gone: _hear_gone,
        Here: _hear_here,
        Left: _hear_left,
        Interest: _hear_interest,
        Published: _hear_published,
        Used: _hear_used,
        Roster: _hear_roster,
        Ask: _hear_ask,
        Beat: _hear_beat,
        Bye: _hear_bye,
    }
