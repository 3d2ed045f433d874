"""What is let in from a broker to which anybody may publish anything (pure).

The cheap questions come first, so that nobody can make us work: size, seal (who does not know the receiver fails here),
clock, repetition, token buckets, and only then the signature. Whoever has proved its id lately has a bucket of its own
and a share that strangers cannot use up. A forgery is not paid for by the one whose name it bears: strangers pay.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict

from signaling.errors import AuthError, DecodeError
from signaling.limits import KeyedBuckets, TokenBucket
from signaling.mailbox import RecentIds
from signaling.messages import MAX_TTL
from signaling.model import Message
from signaling.mqtt.envelope import Envelope, check, unseal
from signaling.mqtt.topics import Lane

SKEW = 300.0
"""Seconds by which the clocks of two nodes may differ."""

SENDER_RATE, SENDER_BURST = 10.0, 60.0
STRANGERS_RATE, STRANGERS_BURST = 20.0, 200.0
PROVEN_RATE, PROVEN_BURST = 40.0, 400.0
"""Messages a second and at once whose signature is checked: of one sender, of all who never proved their id, of all who
did."""

MAX_SENDERS = 1024

REMEMBERED_SECONDS = 2 * SKEW + MAX_TTL + 60
"""How long a message can be valid here, from the first moment when it is not too early to the last, and a minute."""

REMEMBERED = 65_536
"""More than the rates let in of one broker meanwhile, so that nothing is forgotten before it is too old."""

MAX_SHELVES = 8
"""Brokers with a memory of their own; further ones share."""


class Seen:
    """Which messages came already; one for all brokers, since a copy from one may be replayed at another.

    Each broker fills a shelf of its own, so that a flood at one makes nothing be forgotten that came from another.
    """

    def __init__(self, maximum: int = REMEMBERED) -> None:
        self._maximum = maximum
        self._shelves: list[RecentIds] = []
        self._brokers = 0

    def __len__(self) -> int:
        return sum(len(shelf) for shelf in self._shelves)

    def __contains__(self, envelope: Envelope) -> bool:
        key = _key(envelope)
        return any(key in shelf for shelf in self._shelves)

    def shelf(self) -> int:
        """The number of the shelf for one more broker; those of a broker that was left stay as they are."""
        if len(self._shelves) < MAX_SHELVES:
            self._shelves.append(RecentIds(self._maximum, REMEMBERED_SECONDS))
        self._brokers += 1
        return (self._brokers - 1) % len(self._shelves)

    def add(self, envelope: Envelope, now_unix: float, shelf: int) -> None:
        """Take it for a repetition from now on."""
        self._shelves[shelf].add(_key(envelope), now_unix)


class Gate:
    """Decides about each message from one broker; `refused` counts the others by the reason."""

    def __init__(self, seen: Seen, now: float) -> None:
        self._seen = seen
        self._shelf = seen.shelf()
        self._senders = KeyedBuckets(SENDER_RATE, SENDER_BURST, MAX_SENDERS)
        self._strangers = TokenBucket(STRANGERS_RATE, STRANGERS_BURST, now)
        self._proven = TokenBucket(PROVEN_RATE, PROVEN_BURST, now)
        self._known: OrderedDict[str, None] = OrderedDict()
        self.refused: Counter[str] = Counter()

    def admit(self, lane: Lane, data: bytes, now_unix: float, now: float) -> Message | None:
        """The message in what was published on `lane`, the first time that it is seen; None when it is refused.

        `now_unix` is the time by the wall clock, `now` by one that never goes back.
        """
        try:
            envelope = unseal(lane, data)
            reason = self._reason(envelope, now_unix, now)
            if reason is None:
                check(lane, envelope)
        except DecodeError:
            reason = "garbage"
        except AuthError:
            reason = "forged"
            self._acquit(envelope.sender, now)
        if reason is not None:
            self.refused[reason] += 1
            return None
        self._seen.add(envelope, now_unix, self._shelf)
        self._remember(envelope.sender)
        topic = lane.name if lane.kind == "topic" else None
        return Message(envelope.sender, envelope.payload, envelope.id, topic)

    def _reason(self, envelope: Envelope, now_unix: float, now: float) -> str | None:
        """Why not, before the signature is worth a look."""
        if not envelope.sent_at - SKEW <= now_unix <= envelope.sent_at + envelope.ttl + SKEW:
            return "stale"
        if envelope in self._seen:
            return "repeated"
        share = self._proven if envelope.sender in self._known else self._strangers
        if not self._senders.take(envelope.sender, now):
            return "flood"
        if not share.take(now):
            self._senders.give_back(envelope.sender)
            return "flood"
        return None

    def _acquit(self, sender: str, now: float) -> None:
        """Give back what a forgery in this sender's name took of it.

        The strangers' share pays for the look at the signature; once it is used up, the share of the known stays
        charged, since somebody has to: no more signatures are checked than both shares allow.
        """
        self._senders.give_back(sender)
        if sender in self._known and self._strangers.take(now):
            self._proven.give_back()

    def _remember(self, sender: str) -> None:
        self._known[sender] = None
        self._known.move_to_end(sender)
        if len(self._known) > MAX_SENDERS:
            self._known.popitem(last=False)


def _key(envelope: Envelope) -> tuple[str, ...]:
    digest = hashlib.sha256(envelope.public_key + b"\0" + envelope.id.encode()).hexdigest()
    return (digest,)
