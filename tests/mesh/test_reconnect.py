"""The care for one member: when it dials, when it waits, and what ends a wait. The attempts are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atmosphere.errors import Unreachable
from atmosphere.mesh import reconnect
from atmosphere.mesh.linktable import Rank
from atmosphere.mesh.reconnect import Reconnector
from atmosphere.tasks import Tasks


class FakeLink:
    alive = True
    alarmed = False

    @property
    def lost(self) -> bool:
        return not self.alive

    def __init__(self, rank: Rank = 1) -> None:
        self.rank = rank


class FakePeer:
    """As much of a Peer as the reconnector looks at."""

    name = "laptop"

    def __init__(self) -> None:
        self.link: FakeLink | None = None
        self.idle = asyncio.Event()

    @property
    def trying(self) -> bool:
        return not self.idle.is_set()

    @trying.setter
    def trying(self, trying: bool) -> None:
        if trying:
            self.idle.clear()
        else:
            self.idle.set()


class Attempts:
    """Every attempt waits until the test lets it end."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
        self.cancelled = asyncio.Event()

    async def __call__(self, peer: Any) -> None:
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begun.put_nowait(outcome)
        try:
            await outcome
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def next(self) -> asyncio.Future[None]:
        return await asyncio.wait_for(self.begun.get(), 5)


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    owner = Tasks("test")
    yield owner
    await owner.close()


def care(tasks: Tasks, *, rank: Rank = 1, **patience: Any) -> tuple[FakePeer, Attempts, Reconnector]:
    peer, attempts = FakePeer(), Attempts()
    rank_of: Any = lambda link: link.rank  # noqa: E731
    patience.setdefault("patience", 0.0)
    reconnector = Reconnector(peer, attempts, rank=rank, rank_of=rank_of, **patience)  # type: ignore[arg-type]
    tasks.spawn(reconnector.run(), "care")
    return peer, attempts, reconnector


def connect(peer: FakePeer, reconnector: Reconnector, rank: Rank = 1) -> None:
    peer.link = FakeLink(rank)
    reconnector.link_changed()


async def test_it_dials_at_once_and_rests_while_the_link_lives(tasks: Tasks) -> None:
    peer, attempts, reconnector = care(tasks)
    attempt = await attempts.next()
    connect(peer, reconnector)
    attempt.set_result(None)
    await asyncio.wait_for(peer.idle.wait(), 5)
    assert attempts.begun.empty()


async def test_it_dials_again_when_the_path_is_lost(tasks: Tasks) -> None:
    peer, attempts, reconnector = care(tasks)
    (await attempts.next()).set_result(None)
    connect(peer, reconnector)
    assert peer.link is not None
    peer.link.alive = False
    reconnector.link_changed()
    await attempts.next()


async def test_it_dials_once_where_another_path_is_asked_for(tasks: Tasks) -> None:
    peer, attempts, reconnector = care(tasks, patience=3600.0, at_once=True)
    first = await attempts.next()
    connect(peer, reconnector)
    first.set_result(None)
    await asyncio.wait_for(peer.idle.wait(), 5)
    assert peer.link is not None
    peer.link.alarmed = True
    reconnector.link_changed()
    second = await attempts.next()
    assert not peer.link.alarmed
    second.set_exception(Unreachable("no path"))
    await asyncio.wait_for(peer.idle.wait(), 5)
    await asyncio.sleep(0.01)
    assert attempts.begun.empty()


async def test_a_kept_link_is_not_left_waiting_for_long(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "BACKOFF", (3600.0,))
    monkeypatch.setattr(reconnect, "KEPT_BACKOFF", 0.001)
    peer, attempts, reconnector = care(tasks)
    (await attempts.next()).set_result(None)
    connect(peer, reconnector)
    assert peer.link is not None
    peer.link.alive = False
    reconnector.link_changed()
    for _ in range(3):
        (await attempts.next()).set_exception(Unreachable("no path"))


async def test_it_tries_again_after_a_failure(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "BACKOFF", (0.001,))
    _, attempts, reconnector = care(tasks)
    (await attempts.next()).set_exception(Unreachable("nobody there"))
    await attempts.next()
    assert reconnector.last_error == "nobody there"


async def test_news_ends_a_long_wait(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "BACKOFF", (3600.0,))
    peer, attempts, reconnector = care(tasks)
    (await attempts.next()).set_exception(TimeoutError())
    await asyncio.wait_for(peer.idle.wait(), 5)
    assert (reconnector.next_at or 0.0) > asyncio.get_running_loop().time() + 2000.0
    reconnector.wake()
    await attempts.next()
    assert reconnector.next_at is None
    assert reconnector.last_error == "no answer in time"


async def test_a_patient_end_of_a_node_that_just_started_dials_at_once_and_is_patient_then(tasks: Tasks) -> None:
    peer, attempts, reconnector = care(tasks, rank=2, patience=3600.0, at_once=True)
    attempt = await attempts.next()
    connect(peer, reconnector)
    attempt.set_result(None)
    await asyncio.wait_for(peer.idle.wait(), 5)
    peer.link = None
    reconnector.link_changed()
    await asyncio.sleep(0.01)
    assert attempts.begun.empty()


async def test_a_patient_end_lets_the_other_dial_first(tasks: Tasks) -> None:
    peer, attempts, reconnector = care(tasks, rank=2, patience=3600.0)
    await asyncio.sleep(0)
    connect(peer, reconnector)
    await asyncio.sleep(0)
    assert attempts.begun.empty()


@pytest.mark.parametrize(("own", "theirs"), [(2, 1), (1, 0)])
async def test_an_attempt_gives_way_to_a_link_of_a_better_rank(tasks: Tasks, own: Rank, theirs: Rank) -> None:
    peer, attempts, reconnector = care(tasks, rank=own)
    await attempts.next()
    connect(peer, reconnector, theirs)
    await asyncio.wait_for(attempts.cancelled.wait(), 5)


async def test_an_attempt_goes_on_beside_a_link_of_a_worse_rank(tasks: Tasks) -> None:
    peer, attempts, reconnector = care(tasks, rank=1)
    attempt = await attempts.next()
    connect(peer, reconnector, 2)
    await asyncio.sleep(0.01)
    assert not attempt.done()
    assert not attempts.cancelled.is_set()


async def test_patience_ends(tasks: Tasks) -> None:
    _, attempts, _ = care(tasks, patience=0.001)
    await attempts.next()
