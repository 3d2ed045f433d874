from __future__ import annotations

import itertools

from signaling.messages import Subscribe, Watch
from signaling.subscriptions import Subscriptions


def made() -> Subscriptions:
    counter = itertools.count(1)
    subscriptions = Subscriptions(lambda: next(counter))
    subscriptions.topics = {"a": None, "b": None}
    return subscriptions


def test_everything_is_said_in_each_connection() -> None:
    subscriptions = made()
    assert subscriptions.all() == [Subscribe("a", 1), Subscribe("b", 2)]
    subscriptions.watched = ("ann",)
    assert subscriptions.all() == [Subscribe("a", 3), Subscribe("b", 4), Watch(["ann"], 5)]
    assert not subscriptions.answered(1, busy=True)  # of the former connection
    assert subscriptions.again() == []


def test_what_the_server_was_too_busy_for_is_said_again() -> None:
    subscriptions = made()
    subscriptions.watched = ("ann",)
    subscriptions.all()
    assert not subscriptions.answered(1, busy=False)
    assert subscriptions.answered(2, busy=True)
    assert subscriptions.answered(3, busy=True)
    assert not subscriptions.answered(3, busy=True)
    assert not subscriptions.answered(None, busy=True)
    assert subscriptions.again() == [Subscribe("b", 4), Watch(["ann"], 5)]
    assert subscriptions.again() == []


def test_what_is_no_longer_wanted_is_not() -> None:
    subscriptions = made()
    subscriptions.watched = ("ann",)
    subscriptions.all()
    for ref in (1, 2, 3):
        subscriptions.answered(ref, busy=True)
    subscriptions.topics.pop("a")
    subscriptions.watched = ()
    assert subscriptions.again() == [Subscribe("b", 4)]
