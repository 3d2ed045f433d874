from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.sctp.ordering import Message, Ordering


def message(number: int, stream: int = 1) -> Message:
    return Message(stream, 53, b"%d" % number)


@given(st.integers(1, 60), st.randoms())
def test_any_order_becomes_the_order(count: int, rng: random.Random) -> None:
    ordering = Ordering(128)  # so small that numbers begin again
    out: list[Message] = []
    for start in (0, count, 2 * count):
        waiting = list(range(start, start + count))
        rng.shuffle(waiting)
        for number in waiting:
            assert not ordering.is_stale(1, number % 128)
            out += ordering.arrive(number % 128, message(number))
    assert out == [message(number) for number in range(3 * count)]
    assert ordering.held == 0


def test_what_came_or_waits_already_is_dropped() -> None:
    ordering = Ordering(2**16)
    assert ordering.arrive(0, message(0)) == [message(0)]
    assert ordering.is_stale(1, 0)
    assert ordering.arrive(0, message(0)) == ordering.arrive(2, message(2)) == ordering.arrive(2, message(9)) == []
    assert ordering.arrive(1, message(1)) == [message(1), message(2)]


def test_what_is_passed_over_is_not_waited_for() -> None:
    ordering = Ordering(2**16)
    for number in (1, 4, 5, 7):
        ordering.arrive(number, message(number))
    assert ordering.skip(1, 3) == [message(1), message(4), message(5)]
    assert ordering.skip(1, 2) == ordering.arrive(3, message(3)) == []
    assert ordering.skip(1, 6) == [message(7)]
    assert ordering.skip(2, 0) == []
    assert ordering.arrive(1, message(1, 2)) == [message(1, 2)]
    assert ordering.held == 0
    assert ordering.streams == 2


def test_streams_begin_anew() -> None:
    ordering = Ordering(2**16)
    ordering.arrive(0, message(0))
    ordering.arrive(9, message(9))
    ordering.reset(1)
    ordering.reset(2)
    assert ordering.held == ordering.streams == 0
    assert ordering.arrive(0, message(0)) == [message(0)]
