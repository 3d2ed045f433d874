from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.dtls.replay import WINDOW, ReplayWindow

STEPS = st.one_of(st.integers(-5, 5), st.integers(-WINDOW - 5, WINDOW + 5), st.integers(0, 2**40))


@given(st.lists(st.tuples(STEPS, st.integers(1, 60)), max_size=40))
def test_every_number_is_taken_once(steps: list[tuple[int, int]]) -> None:
    """Beside a set that remembers everything."""
    window, seen, newest, place = ReplayWindow(99), set[int](), 99, 100
    for step, count in steps:
        place = max(100, place + step)
        row = range(place, place + count)
        new = [number for number in row if number > newest or (number > newest - WINDOW and number not in seen)]
        assert [number for number in row if window.is_new(number)] == new
        if len(new) == count:
            window.note(place, count)
            seen.update(row)
            newest = max(newest, row[-1])
        else:
            for number in new:
                if window.is_new(number):
                    window.note(number)
                    seen.add(number)
                    newest = max(newest, number)
        assert window.newest == newest
        assert not any(window.is_new(number) for number in row if number in seen)


def test_what_is_older_than_the_window_is_not_new() -> None:
    window = ReplayWindow(-1)
    window.note(0)
    window.note(WINDOW)
    assert not window.is_new(0)
    assert window.is_new(1)
    window.note(WINDOW + 1)
    assert not window.is_new(1)


def test_a_leap_forgets_and_costs_nothing() -> None:
    window = ReplayWindow(-1)
    window.note(0, 50)
    window.note(2**63)
    assert window.newest == 2**63
    assert window.is_new(2**63 - 1) and not window.is_new(2**63) and not window.is_new(49)
