"""How attempts end, and how far they came."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from atmosphere.errors import LinkError, Refused, Unreachable
from atmosphere.mesh.attempts import Attempts
from atmosphere.mesh.exchange import Exchange
from atmosphere.mesh.situation import Layer
from tests.mesh.situations import pair


def exchange(*states: str, answered: bool = False) -> Exchange:
    report = [pair(state=state) for state in states]
    return cast("Exchange", SimpleNamespace(session=SimpleNamespace(report=lambda: report), answered=answered))


def fail(attempts: Attempts, tried: Exchange, error: BaseException, *, greeting: bool = False) -> None:
    with attempts.watch("bob"):
        attempts.begun("bob", tried)
        if greeting:
            attempts.greeting("bob")
        raise error


@pytest.mark.parametrize(
    ("tried", "greeting", "error", "layer"),
    [
        (exchange(), False, Unreachable("no path within 25 s"), "signaling"),
        (exchange("failed", "waiting"), False, TimeoutError(), "signaling"),
        (exchange("failed", answered=True), False, Unreachable("none of 1 pairs"), "ice"),
        (exchange("failed", "succeeded"), False, TimeoutError(), "dtls"),
        (exchange("succeeded", answered=True), True, LinkError("closed"), "greeting"),
        (exchange("succeeded", answered=True), True, Refused("not a member"), "refused"),
    ],
)
def test_how_far_it_came(tried: Exchange, greeting: bool, error: Exception, layer: Layer) -> None:
    attempts = Attempts()
    with pytest.raises(type(error)):
        fail(attempts, tried, error, greeting=greeting)
    found = attempts.of("bob", 3.0)
    assert found is not None
    attempt, pairs = found
    assert attempt.layer == layer
    assert attempt.error == (str(error) or "no answer in time")
    assert attempt.answered is tried.answered
    assert list(pairs) == tried.session.report()


def test_one_that_runs_is_told_of_once_it_is_old_enough() -> None:
    attempts = Attempts()
    assert attempts.of("bob", 0.0) is None
    with attempts.watch("bob"):
        found = attempts.of("bob", 3600.0)
        assert found is not None
        assert (found[0].error, found[1]) == (None, ())
        attempts.begun("bob", exchange("waiting"))
        now = attempts.of("bob", 0.0)
        assert now is not None
        assert now[1] == (pair(state="waiting"),)
    assert attempts.of("bob", 0.0) is None
    with pytest.raises(Unreachable):
        fail(attempts, exchange("failed", answered=True), Unreachable("before"))
    with attempts.watch("bob"):
        young, old = attempts.of("bob", 3600.0), attempts.of("bob", 0.0)
        assert young is not None
        assert old is not None
        assert (young[0].error, old[0].error) == ("before", None)


def test_success_is_forgotten_and_so_is_who_left() -> None:
    attempts = Attempts()
    for _ in range(2):
        with pytest.raises(Unreachable):
            fail(attempts, exchange(), Unreachable("no"))
        with attempts.watch("bob"):
            pass
        assert attempts.of("bob", 0.0) is None
    with pytest.raises(Unreachable):
        fail(attempts, exchange(), Unreachable("no"))
    attempts.keep_only({"bob"})
    assert attempts.of("bob", 0.0) is not None
    attempts.keep_only(set())
    assert attempts.of("bob", 0.0) is None


def test_one_that_was_called_off_says_nothing() -> None:
    attempts = Attempts()
    with pytest.raises(asyncio.CancelledError):
        fail(attempts, exchange(), asyncio.CancelledError())
    assert attempts.of("bob", 0.0) is None


def test_what_nobody_watches_is_not_remembered() -> None:
    attempts = Attempts()
    attempts.begun("bob", exchange())
    attempts.greeting("bob")
    assert attempts.of("bob", 0.0) is None
