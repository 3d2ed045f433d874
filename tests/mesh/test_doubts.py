"""A link whose other end was restarted looks alive to ICE: a question over it tells."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from atmosphere.errors import LinkError, Unreachable
from atmosphere.mesh import doubts as doubts_module
from atmosphere.mesh.doubts import TRIES, Doubts
from atmosphere.mesh.peerlink import PeerLink
from tests.until import until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts_module, "PATIENCE", 0.02)


class Inner:
    packets_received = 5


class FakeLink:
    """As much of a PeerLink as is asked."""

    def __init__(self) -> None:
        self.link = Inner()
        self.lost = False
        self.path = self
        self.moves = self.distrusted = 0
        self.quiet = 0.0
        self.spares = 0
        self.ended = asyncio.Event()
        self.believed = asyncio.Event()

    def abort(self, reason: str) -> None:
        assert "restarted" in reason
        self.ended.set()

    def believe(self) -> None:
        self.believed.set()

    def distrust(self) -> None:
        self.distrusted += 1
        self.moves += self.distrusted <= self.spares


class Answers:
    """A pinger whose answers are given by the test."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def ping(self, link: PeerLink, timeout: float) -> float:
        self.asked += 1
        return await self.answer


def about(doubts: Doubts, link: FakeLink) -> None:
    doubts.about(cast("PeerLink", link))


async def test_a_peer_that_answers_is_believed() -> None:
    answers, link = Answers(), FakeLink()
    doubts = Doubts(answers.ping)
    about(doubts, link)
    answers.answer.set_result(0.01)
    await asyncio.wait_for(link.believed.wait(), 5)
    assert not link.ended.is_set()
    await doubts.close()


async def test_silence_on_a_living_path_ends_the_link() -> None:
    answers, link = Answers(), FakeLink()
    doubts = Doubts(answers.ping)
    about(doubts, link)
    answers.answer.set_exception(Unreachable("no answer within 3 s"))
    await asyncio.wait_for(link.ended.wait(), 5)
    assert not link.believed.is_set()
    assert (answers.asked, link.distrusted) == (TRIES, 1)
    await doubts.close()


async def test_before_that_another_way_is_tried() -> None:
    answers, link = Answers(), FakeLink()
    link.spares = 5
    doubts = Doubts(answers.ping)
    about(doubts, link)
    answers.answer.set_exception(Unreachable("no answer within 3 s"))
    await asyncio.wait_for(link.ended.wait(), 5)
    assert (answers.asked, link.distrusted) == (2 * TRIES, 1)
    await doubts.close()


async def test_where_the_doubt_is_strong_one_way_is_enough() -> None:
    answers, link = Answers(), FakeLink()
    link.spares = 5
    doubts = Doubts(answers.ping)
    doubts.about(cast("PeerLink", link), ways=1)
    answers.answer.set_exception(Unreachable("no answer within 3 s"))
    await asyncio.wait_for(link.ended.wait(), 5)
    assert (answers.asked, link.distrusted) == (TRIES, 0)
    await doubts.close()


async def test_a_peer_that_answers_by_the_other_way_is_believed() -> None:
    link = FakeLink()
    link.spares = 1

    async def ping(asked: PeerLink, timeout: float) -> float:
        if not link.distrusted:
            raise Unreachable("no answer within 3 s")
        return 0.01

    doubts = Doubts(ping)
    about(doubts, link)
    await asyncio.wait_for(link.believed.wait(), 5)
    await doubts.close()


async def test_a_link_that_ends_is_asked_no_more() -> None:
    answers, link = Answers(), FakeLink()
    link.lost = True
    doubts = Doubts(answers.ping)
    about(doubts, link)
    answers.answer.set_exception(LinkError("the link ended"))
    await until(lambda: not doubts._asked)
    assert (answers.asked, link.ended.is_set()) == (1, False)
    await doubts.close()


async def test_silence_on_a_lost_path_says_nothing() -> None:
    answers, link = Answers(), FakeLink()
    link.lost = True
    doubts = Doubts(answers.ping)
    about(doubts, link)
    answers.answer.set_exception(Unreachable("no answer within 3 s"))
    await until(lambda: not doubts._asked)
    assert not link.ended.is_set()
    assert not link.believed.is_set()
    await doubts.close()


async def test_a_slow_peer_is_believed_for_anything_it_sealed() -> None:
    answers, link = Answers(), FakeLink()
    doubts = Doubts(answers.ping)
    about(doubts, link)
    await asyncio.sleep(0)
    link.link.packets_received += 1
    answers.answer.set_exception(Unreachable("no answer within 3 s"))
    await asyncio.wait_for(link.believed.wait(), 5)
    assert not link.ended.is_set()
    await doubts.close()


async def test_while_ice_hears_nothing_either_silence_says_nothing() -> None:
    answers, link = Answers(), FakeLink()
    link.quiet = 2.9
    doubts = Doubts(answers.ping)
    about(doubts, link)
    answers.answer.set_exception(Unreachable("no answer within 3 s"))
    await until(lambda: answers.asked > 2 * TRIES)
    assert (link.distrusted, link.ended.is_set()) == (0, False)
    link.quiet = 0.0
    await asyncio.wait_for(link.ended.wait(), 5)
    await doubts.close()


async def test_one_question_at_a_time() -> None:
    answers, link = Answers(), FakeLink()
    doubts = Doubts(answers.ping)
    about(doubts, link)
    about(doubts, link)
    answers.answer.set_result(0.01)
    await asyncio.wait_for(link.believed.wait(), 5)
    assert answers.asked == 1
    await doubts.close()


async def test_closing_asks_no_more() -> None:
    answers, link = Answers(), FakeLink()
    doubts = Doubts(answers.ping)
    about(doubts, link)
    await doubts.close()
    about(doubts, link)
    assert not link.ended.is_set()
