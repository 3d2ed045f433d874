from __future__ import annotations

import pytest

from atmosphere.sctp.outgoing import QUANTUM, Outgoing, OutgoingQueue


def sent(queue: OutgoingQueue, size: int = 1000, now: float = 0.0, most: int = 10_000) -> list[int]:
    """The streams of the fragments in the order in which they are sent."""
    order = []
    for _ in range(most):
        message = queue.current(now)
        if message is None:
            break
        if not message.offset:
            queue.begin(message)
        order.append(message.stream)
        queue.spend(message, min(size, message.left))
    return order


def test_messages_of_one_channel_keep_their_order_and_are_numbered() -> None:
    queue = OutgoingQueue()
    messages = [Outgoing(1, 53, b"%d" % number) for number in range(3)]
    for message in messages:
        queue.push(message)
    assert queue.buffered == queue.buffered_of(1) == 3
    assert sent(queue) == [1, 1, 1]
    assert [message.number for message in messages] == [0, 1, 2]
    assert queue.current(0.0) is None and not queue and queue.buffered == queue.buffered_of(1) == 0
    queue.forget(1)
    queue.push(messages[0])
    messages[0].offset = 0
    queue.begin(messages[0])
    assert messages[0].number == 0


def test_a_large_message_does_not_hold_up_others_where_they_may_come_in_between() -> None:
    queue = OutgoingQueue()
    queue.push(Outgoing(1, 53, bytes(200_000)))
    queue.push(Outgoing(2, 53, bytes(100)))
    assert sent(queue).index(2) <= QUANTUM // 1000 + 1
    queue.interleaved = False
    queue.push(Outgoing(1, 53, bytes(200_000)))
    queue.push(Outgoing(1, 53, bytes(200_000)))
    queue.push(Outgoing(2, 53, bytes(100)))
    assert sent(queue).index(2) == 200


def test_shares_go_by_priority() -> None:
    queue = OutgoingQueue()
    for stream, priority in ((1, 256), (2, 512)):
        for _ in range(30):
            queue.push(Outgoing(stream, 53, bytes(50_000)), priority)
    order = sent(queue, most=1200)
    assert order.count(2) / order.count(1) == pytest.approx(2, rel=0.1)


def test_not_all_messages_are_begun_at_once() -> None:
    queue = OutgoingQueue()
    queue.begun_most = 300_000
    for stream in range(20):
        queue.push(Outgoing(stream, 53, bytes(100_000)))
    order = sent(queue, most=400)
    assert set(order[:90]) == {0, 1, 2}
    assert len(set(order)) > 3
    assert len(set(order + sent(queue))) == 20
    assert not queue


def test_one_message_larger_than_that_is_begun_nevertheless() -> None:
    queue = OutgoingQueue()
    queue.begun_most = 10
    queue.push(Outgoing(1, 53, bytes(5000)))
    queue.push(Outgoing(2, 53, bytes(5000)))
    assert sent(queue) == [1] * 5 + [2] * 5


def test_what_has_expired_is_not_sent_unless_it_has_begun() -> None:
    queue = OutgoingQueue()
    queue.push(Outgoing(1, 53, bytes(2000), expires=1.0))
    queue.push(Outgoing(1, 53, bytes(100), expires=1.0))
    queue.push(Outgoing(2, 53, bytes(100), expires=3.0))
    first = queue.current(0.5)
    assert first is not None
    queue.begin(first)
    queue.spend(first, 1000)
    assert sent(queue, now=2.0) == [1, 2]
    assert queue.buffered == 0


def test_discarding_leaves_what_has_begun() -> None:
    queue = OutgoingQueue()
    for _ in range(3):
        queue.push(Outgoing(1, 53, bytes(2000)))
    queue.push(Outgoing(2, 53, bytes(100)))
    sent(queue, most=1)
    queue.discard(1)
    queue.discard(2)
    queue.discard(3)
    assert queue.buffered == queue.buffered_of(1) == 1000
    assert sent(queue) == [1]
    assert not queue


def test_a_message_that_is_given_up_goes_on_no_more() -> None:
    queue = OutgoingQueue()
    message = Outgoing(1, 53, bytes(2000))
    queue.push(message)
    queue.push(Outgoing(1, 53, bytes(10)))
    sent(queue, most=1)
    queue.abandon(message)
    assert queue.buffered == 10
    assert sent(queue) == [1]
    queue.abandon(message)
    queue.push(Outgoing(3, 53, b"x"))
    queue.clear()
    assert not queue and queue.buffered == 0


def test_unordered_messages_are_numbered_for_themselves_or_not_at_all() -> None:
    for interleaved in (True, False):
        queue = OutgoingQueue()
        queue.interleaved = interleaved
        messages = [Outgoing(1, 53, b"x", unordered=place % 2 == 1) for place in range(4)]
        for message in messages:
            queue.push(message)
        sent(queue)
        assert [message.number for message in messages] == ([0, 0, 1, 1] if interleaved else [0, 0, 1, 0])
