from __future__ import annotations

from signaling.lines import Lines
from signaling.mailbox import Key

ONE, TWO, THREE = (Key("bob", "ann", name) for name in "123")


def test_messages_are_numbered_and_confirmed_up_to_a_number() -> None:
    lines = Lines()
    lines.open("bob", got=True)
    assert [lines.number("bob", key) for key in (ONE, TWO, THREE)] == [1, 2, 3]
    assert lines.says_something("bob", 2)
    assert lines.got("bob", 2) == [ONE, TWO]
    assert not lines.says_something("bob", 2)
    assert lines.got("bob", 2) == []
    assert lines.got("bob", 99) == [THREE]


def test_a_new_connection_counts_from_the_beginning() -> None:
    lines = Lines()
    lines.open("bob", got=True)
    lines.number("bob", ONE)
    lines.open("bob", got=True)
    assert lines.got("bob", 1) == []
    assert lines.number("bob", TWO) == 1


def test_who_does_not_say_got_has_no_numbers() -> None:
    lines = Lines()
    lines.open("bob", got=False)
    assert lines.number("bob", ONE) is None
    assert lines.got("bob", 1) == []
    lines.open("bob", got=True)
    lines.close("bob")
    assert lines.number("bob", ONE) is None
    assert not lines.says_something("bob", 1)
