from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.sctp.chunks import MAX_DUPLICATES
from atmosphere.sctp.received import MAX_AHEAD, MODULO, ReceivedTsns, unwrap

FIRST = MODULO - 20


@given(st.integers(0, 2**40), st.integers(-(2**31), 2**31 - 1))
def test_a_number_is_found_again_by_its_last_32_bits(near: int, away: int) -> None:
    assert unwrap((near + away) % MODULO, near) == near + away


@given(st.lists(st.integers(0, 60), max_size=120), st.lists(st.integers(0, 60), max_size=4))
def test_it_is_a_set_of_numbers(arriving: list[int], forwards: list[int]) -> None:
    tsns = ReceivedTsns(FIRST)
    seen: set[int] = set()
    steps = len(arriving) // (len(forwards) + 1) + 1
    for place, offset in enumerate(arriving):
        tsn = FIRST + offset
        assert tsns.takes(tsn) == (tsn not in seen)
        if tsn not in seen:
            tsns.add(tsn)
            seen.add(tsn)
        if place % steps == steps - 1 and forwards:
            to = FIRST + forwards.pop()
            assert tsns.forward(to) == (to > tsns_before(seen))
            seen |= set(range(FIRST, to + 1))
        check(tsns, seen)


def tsns_before(seen: set[int]) -> int:
    """The cumulative TSN of a set."""
    cumulative = FIRST - 1
    while cumulative + 1 in seen:
        cumulative += 1
    return cumulative


def check(tsns: ReceivedTsns, seen: set[int]) -> None:
    cumulative = tsns_before(seen)
    assert tsns.cumulative == cumulative
    assert tsns.highest == max(seen, default=FIRST - 1)
    reported = {cumulative + offset for first, last in tsns.gaps() for offset in range(first, last + 1)}
    assert reported == {tsn for tsn in seen if tsn > cumulative}
    assert tsns.is_whole == (not reported)
    gaps = tsns.gaps()
    assert all(before[1] + 1 < after[0] for before, after in pairwise(gaps))


def test_what_came_twice_is_told_once_and_not_without_end() -> None:
    tsns = ReceivedTsns(0)
    tsns.add(0)
    for _ in range(100):
        assert not tsns.takes(0)
    assert tsns.take_duplicates() == (0,) * MAX_DUPLICATES
    assert tsns.take_duplicates() == ()


def test_what_is_too_far_ahead_is_not_taken_and_no_duplicate() -> None:
    tsns = ReceivedTsns(0)
    assert tsns.takes(MAX_AHEAD - 1)
    assert not tsns.takes(MAX_AHEAD)
    assert tsns.take_duplicates() == ()
