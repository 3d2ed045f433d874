"""One attempt's candidates out and in, with a session and a way that the test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from atmosphere.ice.candidate import Candidate
from atmosphere.mesh import exchange as module
from atmosphere.mesh import signals
from atmosphere.mesh.exchange import Exchange
from atmosphere.tasks import Tasks
from tests.mesh.fakes import HOST, SRFLX, FakeSession
from tests.until import until


class Attempt:
    """An exchange, its session, what it has told, and what there is to tell."""

    def __init__(self, *, dialing: bool = True) -> None:
        self.session = FakeSession()
        self.session.state = "checking"
        self.local: list[Candidate] = [HOST]
        self.told: list[signals.Message] = []
        self.exchange = Exchange(self.session.real, "name", lambda: self.local, self._send, dialing=dialing)
        self.tasks = Tasks("test")
        self.running: asyncio.Task[None] | None = None

    async def _send(self, message: signals.Message) -> None:
        self.told.append(message)

    def run(self) -> None:
        self.running = self.tasks.spawn(self.exchange.run(), "run")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEBOUNCE", 0.0)
    monkeypatch.setattr(module, "REPEAT", (0.01, 0.02))


@pytest.fixture
async def attempt() -> AsyncIterator[Attempt]:
    made = Attempt()
    yield made
    await made.tasks.close()


def test_lines_become_remotes_once() -> None:
    attempt = Attempt()
    attempt.exchange.hear([HOST.to_sdp(), "no candidate"])
    attempt.exchange.hear([HOST.to_sdp(), SRFLX.to_sdp()])
    assert [remote.endpoint for remote in attempt.session.remotes] == [HOST.endpoint, SRFLX.endpoint]
    assert attempt.exchange.answered


def test_somebody_who_names_ever_more_addresses_is_not_heard() -> None:
    attempt = Attempt()
    for number in range(20):
        lines = [f"f 1 udp 1 192.0.2.{host} {1000 + number} typ host" for host in range(1, 1 + signals.MAX_CANDIDATES)]
        attempt.exchange.hear(lines)
    assert len(attempt.session.remotes) == 4 * signals.MAX_CANDIDATES


async def test_it_repeats_itself_until_somebody_answers(attempt: Attempt) -> None:
    attempt.run()
    await until(lambda: len(attempt.told) >= 5)
    assert attempt.told == [signals.Dial("name", [HOST.to_sdp()])] * len(attempt.told)
    attempt.exchange.hear([])
    told = len(attempt.told)
    attempt.local = [HOST, SRFLX]
    attempt.exchange.news()
    await until(lambda: attempt.told[-1] == signals.Dial("name", [HOST.to_sdp(), SRFLX.to_sdp()]))
    assert len(attempt.told) <= told + 2


async def test_news_do_not_wait_behind_what_no_server_has_taken_yet(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPEAT", (60.0,))
    connected = asyncio.Event()

    async def send(message: signals.Message) -> None:
        attempt.told.append(message)
        await connected.wait()

    def told(count: int) -> bool:
        return len(attempt.told) == count

    attempt.exchange._send = send
    attempt.run()
    for number in range(2 * module.MAX_SENDING):
        await until(partial(told, min(1 + number, module.MAX_SENDING)))
        attempt.local = [SRFLX] if number % 2 else [HOST, SRFLX]
        attempt.exchange.news()
    assert len(attempt.told) == module.MAX_SENDING, "no more than so many wait"
    connected.set()
    await until(lambda: len(attempt.told) == module.MAX_SENDING + 1)
    attempt.session.state = "connected"
    attempt.exchange.news()
    await until(lambda: attempt.running is not None and attempt.running.done())
    assert len(attempt.exchange._sending) == 0


async def test_news_are_told_at_once_and_only_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPEAT", (60.0,))
    attempt = Attempt(dialing=False)
    attempt.run()
    await until(lambda: attempt.told)
    attempt.exchange.news()
    attempt.local = [HOST, SRFLX]
    attempt.exchange.news()
    await until(lambda: len(attempt.told) == 2)
    assert attempt.told[1] == signals.Candidates("name", [HOST.to_sdp(), SRFLX.to_sdp()])
    attempt.exchange.news(again=True)
    await until(lambda: len(attempt.told) == 3)
    assert attempt.told[2] == attempt.told[1]
    await attempt.tasks.close()


@pytest.mark.parametrize("state", ["connected", "failed", "closed"])
async def test_it_ends_with_the_checks_though_no_news_come(attempt: Attempt, state: str) -> None:
    attempt.run()
    await until(lambda: len(attempt.told) >= 4)
    attempt.session.state = state
    assert attempt.running is not None
    await asyncio.wait_for(attempt.running, 5)


async def test_news_after_the_checks_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPEAT", (60.0,))
    attempt = Attempt()
    attempt.run()
    await until(lambda: attempt.told)
    attempt.session.state = "connected"
    attempt.local = [SRFLX]
    attempt.exchange.news()
    assert attempt.running is not None
    await asyncio.wait_for(attempt.running, 5)
    assert len(attempt.told) == 1
