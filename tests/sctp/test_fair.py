from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.sctp.fair import QUANTUM, FairQueue


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5 * QUANTUM)), max_size=60))
def test_everything_comes_out_once_and_each_channel_in_order(pushes: list[tuple[int, int]]) -> None:
    queue: FairQueue[int] = FairQueue()
    for number, (key, size) in enumerate(pushes):
        queue.push(key, number, size)
    assert queue.bytes == sum(size for _, size in pushes)
    popped: list[tuple[int, int]] = []
    while queue:
        popped.append(queue.pop())
    assert queue.bytes == 0
    for key in range(5):
        assert [item for k, item in popped if k == key] == [n for n, (k, _) in enumerate(pushes) if k == key]


def test_a_small_message_waits_for_one_turn_only() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.push(1, "bulk", QUANTUM)
    queue.pop()
    queue.push(2, "small", 10)
    assert "small" in [queue.pop()[1] for _ in range(3)]


def test_large_messages_do_not_get_more_than_small_ones() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(4):
        queue.push(1, "large", 16 * QUANTUM)
    for _ in range(64):
        queue.push(2, "small", QUANTUM)
    order = [queue.pop()[1] for _ in range(34)]
    assert 1 <= order.count("large") <= 3


def test_what_is_discarded_is_gone() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(1, "a", 5)
    queue.push(2, "b", 6)
    assert (queue.buffered(1), queue.waits(1), queue.buffered(3)) == (5, True, 0)
    queue.discard(1)
    queue.discard(1)
    assert (queue.bytes, queue.waits(1)) == (6, False)
    assert queue.pop() == (2, "b")
    with pytest.raises(IndexError):
        queue.pop()
