from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling.mailbox import Mailboxes, Put, RecentIds
from signaling.settings import Settings


def put(
    boxes: Mailboxes, to: str = "bob", sender: str = "ann", name: str = "1", ttl: float = 30, now: float = 0
) -> Put:
    return boxes.put(to, sender, name, "payload", ttl, now)


def test_a_message_waits_and_is_taken_once_in_order() -> None:
    boxes = Mailboxes(Settings())
    assert put(boxes, name="1") is put(boxes, name="2", now=1) is Put.QUEUED
    assert [stored.id for stored in boxes.take("bob", 2)] == ["1", "2"]
    assert boxes.take("bob", 2) == []
    assert (len(boxes), boxes.messages, boxes.bytes) == (0, 0, 0)


def test_a_repeated_message_is_kept_once() -> None:
    boxes = Mailboxes(Settings())
    assert put(boxes) is Put.QUEUED
    assert put(boxes) is Put.DUPLICATE
    assert put(boxes, sender="eve") is Put.QUEUED
    assert len(boxes.take("bob", 0)) == 2


def test_a_message_is_forgotten_in_time() -> None:
    boxes = Mailboxes(Settings(max_ttl=120))
    put(boxes, name="short", ttl=10)
    put(boxes, name="long", ttl=10_000)
    assert len(boxes.expire(9.9)) == 0
    assert len(boxes.expire(10)) == 1
    assert [stored.id for stored in boxes.take("bob", 119)] == ["long"]
    put(boxes, name="long", ttl=10_000, now=200)
    assert boxes.take("bob", 320) == []


def test_a_mailbox_is_bounded_by_messages_and_by_bytes() -> None:
    boxes = Mailboxes(Settings(mailbox_messages=2))
    assert [put(boxes, name=name) for name in "123"] == [Put.QUEUED, Put.QUEUED, Put.FULL]
    assert put(boxes, to="cid") is Put.QUEUED
    boxes = Mailboxes(Settings(mailbox_bytes=20))
    assert [put(boxes, name=name) for name in "123"] == [Put.QUEUED, Put.QUEUED, Put.FULL]


def test_one_sender_cannot_fill_a_mailbox() -> None:
    boxes = Mailboxes(Settings(mailbox_messages_per_sender=1))
    assert [put(boxes, name=name) for name in "12"] == [Put.QUEUED, Put.FULL]
    assert put(boxes, sender="eve") is Put.QUEUED


def test_all_mailboxes_together_are_bounded() -> None:
    boxes = Mailboxes(Settings(mailboxes_bytes=1100))
    results = [put(boxes, to=f"node {number}") for number in range(5)]
    assert results == [Put.QUEUED, Put.QUEUED, Put.FULL, Put.FULL, Put.FULL]
    assert len(boxes) == 2
    assert put(boxes, to="later", now=31) is Put.QUEUED


def test_taken_messages_leave_nothing_behind() -> None:
    boxes = Mailboxes(Settings())
    for number in range(1000):
        put(boxes, name=str(number))
        boxes.take("bob", 0)
    assert len(boxes._expiries) < 100


def test_a_message_that_came_again_after_it_was_taken_keeps_its_own_time() -> None:
    boxes = Mailboxes(Settings())
    put(boxes, ttl=10)
    boxes.take("bob", 1)
    put(boxes, ttl=10, now=5)
    assert len(boxes.expire(10)) == 0
    assert len(boxes.expire(15)) == 1


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 9), st.booleans()), max_size=80)
)
def test_the_books_balance(steps: list[tuple[str, str, int, bool]]) -> None:
    boxes, now = Mailboxes(Settings(mailbox_messages=4, mailbox_messages_per_sender=2, mailboxes_bytes=4000)), 0.0
    for to, sender, number, take in steps:
        now += number
        if take:
            boxes.take(to, now)
        else:
            put(boxes, to, sender, str(number), ttl=20, now=now)
        assert boxes.bytes <= 4000
        assert len(boxes) <= boxes.messages
    boxes.expire(now + 20)
    assert (len(boxes), boxes.messages, boxes.bytes) == (0, 0, 0)


def test_recent_ids_are_known_for_a_while_and_not_too_many() -> None:
    recent = RecentIds(2, 10)
    assert recent.add(("a",), 0)
    assert not recent.add(("a",), 1)
    assert ("a",) in recent
    assert recent.add(("b",), 2)
    assert recent.add(("c",), 3)
    assert len(recent) == 2
    assert ("a",) not in recent
    assert recent.add(("b",), 13)
    assert len(recent) == 1
