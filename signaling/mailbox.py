"""Messages for nodes that are away, kept for a short while (pure).

Bounded in every direction: messages and bytes for one receiver, messages of one sender for one receiver, bytes in all,
seconds. A full mailbox refuses the new message and never drops an old one, whose sender was told that it is queued.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from signaling.settings import Settings

OVERHEAD = 512
"""What a stored message costs beside its payload, in bytes (objects, dictionary entries), measured generously."""


class Put(Enum):
    """What became of a message."""

    QUEUED = "queued"
    DUPLICATE = "duplicate"
    FULL = "full"


class Key(NamedTuple):
    """Which message it is."""

    to: str
    sender: str
    id: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that waits."""

    sender: str
    id: str
    payload: str
    expires_at: float

    @property
    def size(self) -> int:
        """Bytes that it is counted with against the total."""
        return len(self.payload) + OVERHEAD


@dataclass(slots=True)
class _Box:
    messages: OrderedDict[tuple[str, str], Stored] = field(default_factory=OrderedDict)
    payload_bytes: int = 0

    def of_sender(self, sender: str) -> int:
        return sum(1 for stored in self.messages.values() if stored.sender == sender)


class Mailboxes:
    """The messages of all who are away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._boxes: dict[str, _Box] = {}
        self._expiries: list[tuple[float, str, str, str]] = []
        self._expired: list[Key] = []
        self.messages = 0
        self.bytes = 0
        self.limited_by = ""
        """The setting that made `put` say FULL the last time."""

    def __len__(self) -> int:
        return len(self._boxes)

    def put(
        self, to: str, sender: str, message_id: str, payload: str, ttl: float, now: float, *, in_flight: bool = False
    ) -> Put:
        """Keep a message for `to` until `ttl` seconds (at most `max_ttl`) are over.

        With `in_flight` it waits for a receiver who is here, and may be one of more.
        """
        self._expire(now)
        stored = Stored(sender, message_id, payload, now + min(ttl, self._settings.max_ttl))
        box = self._boxes.get(to)
        if box is not None and (sender, message_id) in box.messages:
            return Put.DUPLICATE
        limit = (self._too_much_in_flight if in_flight else self._too_much)(box or _Box(), stored)
        if limit:
            self.limited_by = limit
            return Put.FULL
        box = self._boxes.setdefault(to, _Box())
        box.messages[sender, message_id] = stored
        box.payload_bytes += len(payload)
        self.messages += 1
        self.bytes += stored.size
        heapq.heappush(self._expiries, (stored.expires_at, to, sender, message_id))
        return Put.QUEUED

    def take(self, to: str, now: float) -> list[Stored]:
        """Everything that waits for `to`, oldest first; it is gone from here."""
        self._expire(now)
        box = self._boxes.pop(to, None)
        if box is None:
            return []
        taken = list(box.messages.values())
        self.messages -= len(taken)
        self.bytes -= sum(stored.size for stored in taken)
        return taken

    def waiting(self, to: str) -> list[Stored]:
        """Everything that waits for `to`, oldest first; it stays."""
        box = self._boxes.get(to)
        return list(box.messages.values()) if box else []

    def find(self, key: Key) -> Stored | None:
        """One message."""
        box = self._boxes.get(key.to)
        return box.messages.get((key.sender, key.id)) if box else None

    def drop(self, key: Key) -> None:
        """Forget one message; nothing happens when it is not here."""
        stored = self.find(key)
        if stored is not None:
            self._forget(key, stored.expires_at)

    def expire(self, now: float) -> list[Key]:
        """Forget what is too old; what has been forgotten since the last call."""
        self._expire(now)
        expired, self._expired = self._expired, []
        return expired

    def _expire(self, now: float) -> None:
        while self._expiries and self._expiries[0][0] <= now:
            expires_at, to, sender, message_id = heapq.heappop(self._expiries)
            key = Key(to, sender, message_id)
            if self._forget(key, expires_at):
                self._expired.append(key)
        if len(self._expiries) > 2 * self.messages + 64:
            # Messages that were taken leave their entry behind; without this the heap would grow with every delivery.
            self._expiries = [
                (stored.expires_at, to, *key) for to, box in self._boxes.items() for key, stored in box.messages.items()
            ]
            heapq.heapify(self._expiries)

    def _too_much(self, box: _Box, stored: Stored) -> str | None:
        """The setting that one more message for this mailbox would go against."""
        settings = self._settings
        if len(box.messages) >= settings.mailbox_messages:
            return "mailbox_messages"
        if box.payload_bytes + len(stored.payload) > settings.mailbox_bytes:
            return "mailbox_bytes"
        if box.of_sender(stored.sender) >= settings.mailbox_messages_per_sender:
            return "mailbox_messages_per_sender"
        return self._too_much_in_all(stored)

    def _too_much_in_flight(self, box: _Box, stored: Stored) -> str | None:
        settings = self._settings
        if len(box.messages) >= settings.in_flight_messages:
            return "in_flight_messages"
        if box.payload_bytes + len(stored.payload) > settings.in_flight_bytes:
            return "in_flight_bytes"
        return self._too_much_in_all(stored)

    def _too_much_in_all(self, stored: Stored) -> str | None:
        return "mailboxes_bytes" if self.bytes + stored.size > self._settings.mailboxes_bytes else None

    def _forget(self, key: Key, expires_at: float) -> bool:
        box = self._boxes.get(key.to)
        stored = box.messages.get((key.sender, key.id)) if box else None
        if box is None or stored is None or stored.expires_at != expires_at:
            return False  # it was taken, and perhaps another came under the same id
        del box.messages[key.sender, key.id]
        box.payload_bytes -= len(stored.payload)
        self.messages -= 1
        self.bytes -= stored.size
        if not box.messages:
            del self._boxes[key.to]
        return True


class RecentIds:
    """Remembers which messages went through, up to `maximum` of them and for `lifetime` seconds."""

    def __init__(self, maximum: int, lifetime: float) -> None:
        self._maximum = maximum
        self._lifetime = lifetime
        self._seen: OrderedDict[tuple[str | bytes, ...], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, key: tuple[str | bytes, ...]) -> bool:
        return key in self._seen

    def add(self, key: tuple[str | bytes, ...], now: float) -> bool:
        """Remember `key`; False when it was known already."""
        self.expire(now)
        if key in self._seen:
            return False
        self._seen[key] = now
        if len(self._seen) > self._maximum:
            self._seen.popitem(last=False)
        return True

    def expire(self, now: float) -> None:
        """Forget what was added longer ago than the lifetime."""
        while self._seen and next(iter(self._seen.values())) <= now - self._lifetime:
            self._seen.popitem(last=False)
