from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling.backlog import EVERY, Backlog


class Reader:
    """Somebody for whom bytes wait."""

    def __init__(self, backlog: Backlog, waiting: int = 0) -> None:
        self.backlog = backlog
        self.waiting = waiting
        backlog.add(self, lambda: self.waiting)

    def write(self, size: int, now: float) -> bool:
        if self.waiting >= self.backlog.share(now):
            return False
        self.waiting += size
        self.backlog.grew(size)
        return True


def test_nobody_is_held_to_a_share_while_there_is_room() -> None:
    backlog = Backlog(1000)
    Reader(backlog, 499)
    assert backlog.share(0.0) == 1000
    assert (backlog.total(), len(backlog)) == (499, 1)


def test_beyond_half_of_it_each_has_a_part_of_the_other_half() -> None:
    backlog = Backlog(1000)
    one, idle = Reader(backlog), Reader(backlog)
    assert one.write(600, 0.0)
    assert not one.write(1, EVERY)
    assert idle.write(1, EVERY)
    Reader(backlog, 100)
    assert backlog.share(2 * EVERY) == 1000 // (2 * 3)


def test_what_grew_counts_at_once_and_what_was_read_at_the_next_count() -> None:
    backlog = Backlog(1000)
    one = Reader(backlog, 450)
    assert backlog.share(0.0) == 1000
    one.write(100, 0.0)
    assert backlog.share(0.0) == 500
    one.waiting = 0
    assert backlog.share(EVERY / 2) == 500
    assert backlog.share(EVERY) == 1000


def test_much_that_is_written_is_counted_at_once() -> None:
    backlog = Backlog(1000)
    Reader(backlog, 450)
    assert backlog.share(0.0) == 1000
    for _ in range(2):
        Reader(backlog).write(100, 0.0)
    assert backlog.share(0.0) == 1000 // (2 * 3)


def test_who_is_gone_does_not_count() -> None:
    backlog = Backlog(1000)
    one = Reader(backlog, 900)
    assert backlog.share(0.0) == 500
    backlog.remove(one)
    backlog.remove(one)
    assert backlog.share(EVERY) == 1000
    assert backlog.total() == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 100)), max_size=300))
def test_the_bound_holds(writes: list[tuple[int, int]]) -> None:
    """Up to one message for each reader, whoever is written to and in whatever order."""
    backlog = Backlog(2000)
    readers = [Reader(backlog) for _ in range(10)]
    for step, (number, size) in enumerate(writes):
        readers[number].write(size, step * EVERY)
    assert backlog.total() <= 2000 + 10 * 100
