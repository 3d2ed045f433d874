"""The care for one member: when it dials, when it waits, and what ends a wait. The attempts are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atmosphere.errors import Unreachable
from atmosphere.mesh import reconnect
from atmosphere.mesh.reconnect import Reconnector
from atmosphere.tasks import Tasks


class FakeLink:
    alive = True


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


def care(tasks: Tasks, *, polite: bool = False) -> tuple[FakePeer, Attempts, Reconnector]:
    peer, attempts = FakePeer(), Attempts()
    reconnector = Reconnector(peer, attempts, polite=polite)  # type: ignore[arg-type]
    tasks.spawn(reconnector.run(), "care")
    return peer, attempts, reconnector


def connect(peer: FakePeer, reconnector: Reconnector) -> None:
    peer.link = FakeLink()
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
    reconnector.wake()
    await attempts.next()
    assert reconnector.last_error == "no answer in time"


async def test_the_larger_id_lets_the_other_dial_first(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "FIRST_WAIT", 3600.0)
    peer, attempts, reconnector = care(tasks, polite=True)
    await asyncio.sleep(0)
    connect(peer, reconnector)
    await asyncio.sleep(0)
    assert attempts.begun.empty()


async def test_the_larger_id_gives_its_attempt_up_for_theirs(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "FIRST_WAIT", 0.001)
    peer, attempts, reconnector = care(tasks, polite=True)
    await attempts.next()
    connect(peer, reconnector)
    await asyncio.wait_for(attempts.cancelled.wait(), 5)


async def test_the_smaller_id_finishes_its_attempt(tasks: Tasks) -> None:
    peer, attempts, reconnector = care(tasks)
    attempt = await attempts.next()
    connect(peer, reconnector)
    await asyncio.sleep(0.01)
    assert not attempt.done()
    assert not attempts.cancelled.is_set()


async def test_a_polite_failure_is_a_failure_too(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(reconnect, "BACKOFF", (0.001,))
    _, attempts, reconnector = care(tasks, polite=True)
    (await attempts.next()).set_exception(Unreachable("nobody there"))
    await attempts.next()
    assert reconnector.last_error == "nobody there"
