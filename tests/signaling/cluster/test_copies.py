from __future__ import annotations

import pytest

from signaling.cluster import copies as module
from signaling.cluster.copies import PATIENCE, RETRY, Copies, Copy
from signaling.cluster.directory import Directory
from signaling.cluster.wire import AnyEvent, Have, Keep
from signaling.mailbox import Key, Mailboxes, Put
from signaling.messages import Delivered, Error, Queued
from signaling.settings import Settings

KEY = Key("bob", "ann", "m")


class Made:
    """One instance, `us`, and what it says."""

    def __init__(self, *peers: str) -> None:
        self.said: list[tuple[str | None, AnyEvent]] = []
        self.mailboxes = Mailboxes(Settings())
        self.directory = Directory("us", 2.5)
        self.copies = Copies(self.mailboxes, self.directory, lambda target, event: self.said.append((target, event)))
        for peer in peers:
            self.directory.hear(peer, 1)

    def add(self, **options: object) -> Copy:
        copy = Copy(["us"], **options)  # type: ignore[arg-type]
        assert self.copies.add(KEY, "cGF5", 30.0, 0.0, copy) is Put.QUEUED
        return copy

    def targets(self) -> list[str | None]:
        told = [target for target, event in self.said if isinstance(event, Keep)]
        self.said.clear()
        return told


def test_alone_a_copy_is_enough() -> None:
    made = Made()
    made.add(sender_waits=7)
    assert made.copies.review(KEY, 0.0) == [("ann", Queued(7))]
    assert made.copies.review(KEY, 0.0) == []  # answered once
    assert (made.copies.unsettled, made.copies.single, len(made.copies)) == (0, 1, 1)


def test_the_sender_waits_until_a_second_copy_is_confirmed() -> None:
    made = Made("them")
    made.add(sender_waits=7)
    assert made.copies.review(KEY, 0.0) == []
    assert made.said == [("them", Keep(*KEY, "cGF5", 30.0, ["us", "them"]))]
    assert made.targets() == ["them"]
    assert made.copies.due(RETRY / 2) == []
    assert made.targets() == []
    assert made.copies.due(RETRY) == []
    assert made.targets() == ["them"]
    assert made.copies.confirm(Have(*KEY, False), KEY, "them", 1.0) == [("ann", Queued(7))]
    assert (made.copies.unsettled, made.copies.single) == (0, 0)


def test_written_elsewhere_is_delivered() -> None:
    made = Made("them")
    made.directory.move("bob", 1, "them")
    made.add(sender_waits=7)
    made.copies.review(KEY, 0.0)
    assert made.copies.confirm(Have(*KEY, True), KEY, "them", 1.0) == [("ann", Delivered(7))]


def test_a_copy_follows_its_receiver() -> None:
    made = Made("them", "others")
    made.add()
    made.copies.confirm(Have(*KEY, False), KEY, "them", 0.0)
    made.directory.move("bob", 1, "others")
    made.copies.hurry([KEY])
    assert made.copies.hurried(0.0) == []
    assert made.targets() == ["others"]


def test_only_the_first_living_holder_acts() -> None:
    made = Made("them", "others")
    copy = Copy(["them", "us"], {"them"})
    made.copies.add(KEY, "cGF5", 30.0, 0.0, copy)
    made.directory.move("bob", 1, "others")
    made.copies.review(KEY, 0.0)
    assert made.targets() == []
    made.directory.remove("them")
    made.copies.look_at_all()
    made.copies.due(0.0)
    assert made.targets() == ["others"]


def test_no_room_elsewhere_refuses_what_nobody_was_told_of() -> None:
    made = Made("them")
    made.add(sender_waits=7)
    made.copies.review(KEY, 0.0)
    assert made.copies.refused(KEY, 0.0) == [("ann", Error("full", "the receiver's mailbox is full", 7))]
    assert (len(made.copies), made.mailboxes.messages) == (0, 0)
    assert made.copies.refused(KEY, 0.0) == []


def test_no_room_elsewhere_changes_nothing_for_what_was_promised() -> None:
    made = Made("them")
    made.add()
    assert made.copies.refused(KEY, 0.0) == []
    assert (len(made.copies), made.copies.unsettled) == (1, 1)


def test_what_has_arrived_is_dropped_and_its_sender_told() -> None:
    made = Made("them")
    made.add(sender_waits=7)
    made.copies.look_again(KEY, PATIENCE)
    assert made.copies.drop(KEY) == [("ann", Delivered(7))]
    assert made.copies.drop(KEY) == []
    assert made.copies.due(1.0) == []
    assert made.copies.review(KEY, 1.0) == []
    assert made.copies.confirm(Have(*KEY, True), KEY, "them", 1.0) == []


def test_what_expires_is_dropped_unless_it_came_again() -> None:
    made = Made()
    made.add(sender_waits=7)
    made.mailboxes.expire(60.0)
    assert made.copies.find(KEY) is None
    assert made.copies.expired(KEY) == [("ann", Error("offline", "nobody took it in time", 7))]
    made.add()
    assert made.copies.expired(KEY) == []
    assert made.copies.find(KEY)


def test_holders_are_learned_and_bounded() -> None:
    made = Made("them")
    copy = made.add()
    made.copies.learn(KEY, ["them", "us", *map(str, range(100))], "them")
    assert copy.holders[:3] == ["us", "them", "0"]
    assert len(copy.holders) == 8
    assert copy.confirmed == {"them"}


def test_a_new_connection_of_the_sender_gets_no_answer_of_the_former() -> None:
    made = Made("them")
    made.add(sender_waits=7)
    made.copies.forget_sender("ann")
    assert made.copies.confirm(Have(*KEY, False), KEY, "them", 1.0) == []
    made.copies.sender_asks(KEY, 8)
    assert made.copies.review(KEY, 1.0) == [("ann", Queued(8))]
    made.copies.forget_sender("ann")
    assert made.copies.drop(KEY) == []
    made.copies.forget_sender("ann")


def test_what_came_again_before_its_end_was_noticed_is_no_answer_to_the_first() -> None:
    made = Made("them")
    made.add(sender_waits=7)
    made.mailboxes.expire(60.0)
    made.add()
    made.copies.forget_sender("ann")
    assert made.copies.drop(KEY) == []
    made.copies.forget_sender("ann")


def test_only_so_many_are_sent_at_once_and_all_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    made = Made("them")
    keys = [Key("bob", "ann", name) for name in "12345"]
    for key in keys:
        made.copies.add(key, "cGF5", 30.0, 0.0, Copy(["us"]))
    made.copies.look_at_all()
    made.copies.hurried(0.0)
    for _ in range(3):
        made.copies.due(RETRY)
    told = [event.id for _, event in made.said if isinstance(event, Keep)]
    assert told == ["1", "2", "3", "4", "5", "1", "2"]
