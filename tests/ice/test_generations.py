"""atmosphere.ice.generations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from atmosphere.ice import generations as module
from atmosphere.ice.generations import GENERATION, Generations, Question

NOW = 1000.0
THERE = ("192.0.2.9", 9)


def session(name: str) -> Any:
    return SimpleNamespace(key=("local", name))


def asked_by(whom: Any) -> Question:
    return (whom, 1, THERE)


def test_a_question_is_known_until_it_is_answered_or_two_generations_old() -> None:
    generations, question = Generations(NOW), asked_by(session("a"))
    for number in range(3):
        generations.ask(b"%d" % number, question, NOW + number * GENERATION)
    assert [generations.question(one) for one in (b"0", b"1", b"2", b"3")] == [None, question, question, None]
    assert generations.asked == 2
    generations.answered(b"1")
    generations.answered(b"1")
    assert generations.asked == 1


def test_who_is_over_is_remembered_for_a_while_and_what_it_asked_is_not() -> None:
    generations, ended, other = Generations(NOW), session("a"), session("b")
    generations.ask(b"old", asked_by(ended), NOW)
    generations.ask(b"new", asked_by(ended), NOW + GENERATION)
    generations.ask(b"other", asked_by(other), NOW + GENERATION)
    generations.end(ended, NOW + GENERATION)
    assert (generations.asked, generations.ended) == (1, 1)
    assert not generations.is_ended(other.key, NOW + GENERATION)
    assert generations.is_ended(ended.key, NOW + GENERATION)
    assert generations.is_ended(ended.key, NOW + 2 * GENERATION)
    assert not generations.is_ended(ended.key, NOW + 3 * GENERATION)


def test_who_is_over_fills_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENDED", 2)
    generations = Generations(NOW)
    for number in range(5):
        generations.end(session(f"{number}"), NOW)
    assert generations.ended == 2
