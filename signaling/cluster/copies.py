"""The copies of a cluster's messages: each is held by two instances until its receiver has it (pure).

Whoever takes a message from its sender keeps it and gives a second copy to the instance that has the receiver; if none
has, to the *keeper*, the same for all, so that the limits of a mailbox hold in the whole cluster. Only when that
instance has confirmed its copy, or the receiver has said `got`, the sender is told. A message for a receiver who is
connected here gets its second copy only when `got` takes long.

Each copy knows its *holders* in order. The first that lives is responsible: it sends the copy on when the receiver
turns up elsewhere, and gives it to another instance when one of the two is gone. What is not confirmed is sent again.
So a message may be written twice; instances refuse an id that was got, and clients do so too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from signaling.cluster.directory import Directory
from signaling.cluster.wire import MAX_HOLDERS, AnyEvent, Have, Keep
from signaling.mailbox import Key, Mailboxes, Put
from signaling.messages import MAX_TTL, Delivered, Error, Queued, ServerMessage

RETRY = 0.5
"""Seconds until something unconfirmed is sent again."""

AT_ONCE = 1_000
"""How many are looked at in one go: more are sent in the next, the longest waiting first, so that one instance in
trouble is not drowned by all the others."""

PATIENCE = 0.25
"""Seconds that a receiver who is here has for its `got` before a second copy is made."""

Speak = Callable[[str | None, AnyEvent], None]
"""Says an event to one instance, or to all."""


@dataclass(slots=True)
class Copy:
    """What is known of a message that is held here; `sender_waits` has the sender's `ref` until it is answered, or
    until the connection that it belongs to is over."""

    holders: list[str]
    confirmed: set[str] = field(default_factory=set)
    written: bool = False
    sender_waits: int | None = None


Answer = tuple[str, ServerMessage]
"""To whom, and what."""


class Copies:
    """The messages that one instance holds, and what it must do about them."""

    def __init__(self, mailboxes: Mailboxes, directory: Directory, speak: Speak) -> None:
        self._mailboxes = mailboxes
        self._directory = directory
        self._speak = speak
        self._copies: dict[Key, Copy] = {}
        self._unsettled: dict[Key, float] = {}
        """When each of these is to be looked at again."""
        self._hurried: list[Key] = []
        self._asked: dict[str, set[Key]] = {}
        """What each sender waits for."""

    def __len__(self) -> int:
        return len(self._copies)

    @property
    def unsettled(self) -> int:
        """How many are not yet where they must be."""
        return len(self._unsettled)

    @property
    def single(self) -> int:
        """How many no other instance is known to hold."""
        live = self._directory.live
        return sum(1 for copy in self._copies.values() if copy.confirmed.isdisjoint(live))

    def find(self, key: Key) -> Copy | None:
        """What is known of a message that is held."""
        return self._copies.get(key) if self._mailboxes.find(key) else None

    def add(self, key: Key, payload: str, left: float, now: float, copy: Copy) -> Put:
        """Hold a message that is not held yet."""
        in_flight = self._directory.place(key.to) is not None
        put = self._mailboxes.put(*key, payload, left, now, in_flight=in_flight)
        if put is Put.QUEUED:
            self._take_ref(key, self._copies.get(key))  # of one that is over, and came again before it was noticed
            self._copies[key] = copy
            if copy.sender_waits is not None:
                self.sender_asks(key, copy.sender_waits)
        return put

    def sender_asks(self, key: Key, ref: int) -> None:
        """The sender of a message that is held waits for its answer under `ref`."""
        self._copies[key].sender_waits = ref
        self._asked.setdefault(key.sender, set()).add(key)

    def forget_sender(self, node: str) -> None:
        """A connection of `node` begins or ends: the numbers of the former one mean nothing in the next."""
        for key in self._asked.pop(node, ()):
            self._copies[key].sender_waits = None

    def note_written(self, key: Key) -> None:
        """A message that is held was written to its receiver."""
        self._copies[key].written = True

    def look_again(self, key: Key, at: float) -> None:
        """See at this time whether the message is where it must be."""
        self._unsettled[key] = at

    def hurry(self, keys: Iterable[Key]) -> None:
        """The same, as soon as `hurried` or `due` is called."""
        for key in keys:
            self._unsettled[key] = 0.0
            self._hurried.append(key)

    def look_at_all(self) -> None:
        """The same for every message: instances came or went."""
        self.hurry(tuple(self._copies))

    def hurried(self, now: float) -> list[Answer]:
        """Look at what is in a hurry; the answers for senders that this allows."""
        keys, self._hurried = dict.fromkeys(self._hurried), []
        return [answer for key in itertools.islice(keys, AT_ONCE) for answer in self.review(key, now)]

    def due(self, now: float) -> list[Answer]:
        """Look at what is due; the answers for senders that this allows."""
        self._hurried.clear()
        keys = list(itertools.islice((key for key, at in self._unsettled.items() if at <= now), AT_ONCE))
        return [answer for key in keys for answer in self.review(key, now)]

    def review(self, key: Key, now: float) -> list[Answer]:
        """Send the message where it must be, or be content and answer its sender."""
        self._unsettled.pop(key, None)  # what is entered again goes to the end
        copy, stored = self._copies.get(key), self._mailboxes.find(key)
        if copy is None or stored is None:
            return []
        target = self._target(key, copy)
        if target is None:
            return self._answer(key, copy, Queued if not copy.written else Delivered)
        if target not in copy.holders:
            copy.holders = [*copy.holders[: MAX_HOLDERS - 1], target]
        left = min(max(0.0, stored.expires_at - now), MAX_TTL)
        self._speak(target, Keep(*key, stored.payload, left, copy.holders))
        self._unsettled[key] = now + RETRY
        return []

    def _target(self, key: Key, copy: Copy) -> str | None:
        """The instance that must get a copy now, if any."""
        live, own = self._directory.live, self._directory.own
        if next((one for one in copy.holders if one == own or one in live), own) != own:
            return None
        place = self._directory.place(key.to)
        if place is not None and place != own:
            return None if place in copy.confirmed else place
        return None if not copy.confirmed.isdisjoint(live) else self._directory.keeper(key.to)

    def _answer(self, key: Key, copy: Copy, kind: type[Delivered] | type[Queued]) -> list[Answer]:
        ref = self._take_ref(key, copy)
        return [] if ref is None else [(key.sender, kind(ref))]

    def _take_ref(self, key: Key, copy: Copy | None) -> int | None:
        """The number under which the sender waits; from now on it waits no more."""
        if copy is None or copy.sender_waits is None:
            return None
        keys = self._asked[key.sender]
        keys.discard(key)
        if not keys:
            del self._asked[key.sender]
        ref, copy.sender_waits = copy.sender_waits, None
        return ref

    # What other instances say

    def learn(self, key: Key, holders: list[str], teller: str) -> None:
        """`teller` holds a message that is held here too, and names its holders."""
        copy = self._copies[key]
        copy.holders = list(dict.fromkeys([*copy.holders, *holders]))[:MAX_HOLDERS]
        copy.confirmed.add(teller)

    def confirm(self, have: Have, key: Key, teller: str, now: float) -> list[Answer]:
        """Another instance holds it too."""
        copy = self._copies.get(key)
        if copy is None:
            return []
        copy.confirmed.add(teller)
        copy.written = copy.written or have.written
        return self.review(key, now)

    def refused(self, key: Key, now: float) -> list[Answer]:
        """Another instance has no room for it: nobody was told yet, so it is refused; else it is tried again."""
        copy = self._copies.get(key)
        if copy is None:
            return []
        if copy.sender_waits is None or copy.written or copy.confirmed:
            self._unsettled[key] = now + RETRY
            return []
        return self._end(key, Error("full", "the receiver's mailbox is full", self._take_ref(key, copy)))

    def drop(self, key: Key) -> list[Answer]:
        """The receiver has it."""
        ref = self._take_ref(key, self._copies.get(key))
        return self._end(key, Delivered(ref) if ref is not None else None)

    def expired(self, key: Key) -> list[Answer]:
        """Its time is over."""
        if self._mailboxes.find(key):
            return []  # it came again since
        ref = self._take_ref(key, self._copies.get(key))
        return self._end(key, Error("offline", "nobody took it in time", ref) if ref is not None else None)

    def _end(self, key: Key, answer: ServerMessage | None) -> list[Answer]:
        self._mailboxes.drop(key)
        self._unsettled.pop(key, None)
        self._copies.pop(key, None)
        return [(key.sender, answer)] if answer else []
