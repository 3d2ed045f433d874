from __future__ import annotations

from signaling.cluster.lines import Lines
from signaling.mailbox import Key

MAXIMUM = 3
ONE, TWO, THREE = (Key("bob", "ann", name) for name in "123")


def test_messages_are_numbered_and_confirmed_up_to_a_number() -> None:
    lines = Lines(MAXIMUM)
    lines.open("bob", got=True)
    assert [lines.number("bob", key) for key in (ONE, TWO, THREE)] == [1, 2, 3]
    assert lines.says_something("bob", 2)
    assert lines.got("bob", 2) == [ONE, TWO]
    assert not lines.says_something("bob", 2)
    assert lines.got("bob", 2) == []
    assert lines.got("bob", 99) == [THREE]


def test_a_new_connection_counts_from_the_beginning() -> None:
    lines = Lines(MAXIMUM)
    lines.open("bob", got=True)
    lines.number("bob", ONE)
    lines.open("bob", got=True)
    assert lines.got("bob", 1) == []
    assert lines.number("bob", TWO) == 1


def test_who_does_not_say_got_has_no_numbers() -> None:
    lines = Lines(MAXIMUM)
    lines.open("bob", got=False)
    assert lines.number("bob", ONE) is None
    assert lines.got("bob", 1) == []
    lines.open("bob", got=True)
    lines.close("bob")
    assert lines.number("bob", ONE) is None
    assert not lines.says_something("bob", 1)


def test_one_who_never_says_got_costs_a_bounded_amount() -> None:
    lines = Lines(MAXIMUM)
    lines.open("bob", got=True)
    for _ in range(1000):
        lines.number("bob", ONE)
    assert lines.number("bob", TWO) == 1001
    assert lines.got("bob", 1001) == [ONE, ONE, TWO]
