"""What sessions asked, and which are over: kept by generations, so that forgetting costs nothing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atmosphere.ice.router import SessionKey

if TYPE_CHECKING:
    from atmosphere.ice.session import IceSession

__all__ = ["Generations", "Question"]

GENERATION = 60.0
"""Seconds after which transaction ids and ended sessions start to be forgotten; they are gone after twice that."""
MAX_ENDED = 4096

Address = tuple[str, int]
Question = tuple["IceSession", int, Address]
"""Who asked, from which base, whom."""


class Generations:
    """Questions by transaction id and sessions that are over, of this generation and the one before."""

    def __init__(self, now: float) -> None:
        self._asked: tuple[dict[bytes, Question], dict[bytes, Question]] = ({}, {})
        self._ended: tuple[set[SessionKey], set[SessionKey]] = (set(), set())
        self._turned = now

    @property
    def asked(self) -> int:
        """How many questions are remembered."""
        return sum(map(len, self._asked))

    @property
    def ended(self) -> int:
        """How many sessions that are over are remembered."""
        return sum(map(len, self._ended))

    def ask(self, transaction_id: bytes, question: Question, now: float) -> None:
        """This question goes out."""
        self._turn(now)
        self._asked[0][transaction_id] = question

    def question(self, transaction_id: bytes) -> Question | None:
        """Whose question a response with that id answers, if it is remembered."""
        return self._asked[0].get(transaction_id) or self._asked[1].get(transaction_id)

    def answered(self, transaction_id: bytes) -> None:
        """Forget a question. Kept until its generation ends, a minute's checks would cost each link 20 KB."""
        for generation in self._asked:
            generation.pop(transaction_id, None)

    def end(self, session: IceSession, now: float) -> None:
        """The session is over: forget what it asked, and remember that it was."""
        for generation in self._asked:
            for transaction in [one for one, question in generation.items() if question[0] is session]:
                del generation[transaction]
        self._turn(now)
        if len(self._ended[0]) < MAX_ENDED:
            self._ended[0].add(session.key)

    def is_ended(self, key: SessionKey, now: float) -> bool:
        """Whether a session with these fragments was over a short while ago."""
        self._turn(now)
        return key in self._ended[0] or key in self._ended[1]

    def _turn(self, now: float) -> None:
        """The older of two generations is dropped whole."""
        if now - self._turned >= GENERATION:
            self._turned = now
            self._asked = ({}, self._asked[0])
            self._ended = (set(), self._ended[0])
