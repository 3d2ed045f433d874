from __future__ import annotations

from signaling.presence import Watchers


def test_watchers_are_those_who_asked() -> None:
    watchers = Watchers(8)
    assert watchers.watch("bob", ["x", "y"])
    assert watchers.watch("ann", ["y"])
    assert watchers.watchers("x") == ["bob"]
    assert watchers.watchers("y") == ["ann", "bob"]
    assert watchers.watchers("z") == []
    assert len(watchers) == 2


def test_a_watch_replaces_the_former_one() -> None:
    watchers = Watchers(8)
    watchers.watch("ann", ["x"])
    watchers.watch("ann", ["y"])
    assert watchers.watchers("x") == []
    watchers.watch("ann", [])
    assert (len(watchers), watchers._watchers) == (0, {})


def test_too_many_change_nothing() -> None:
    watchers = Watchers(1)
    assert watchers.watch("ann", ["x", "x"])
    assert not watchers.watch("ann", ["y", "z"])
    assert watchers.watchers("x") == ["ann"]
