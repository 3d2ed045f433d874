"""atmosphere.ice.keepalive, with a measurement that says what it is told; see `test_nat_lifetime` for the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from atmosphere.ice import keepalive
from atmosphere.ice.agent import REST_LEAST, REST_MOST
from atmosphere.ice.consent import REST
from atmosphere.ice.keepalive import LIMIT, KeepAlive
from tests.until import until

LOCAL, A, B = "10.0.0.1", ("192.0.2.1", 3478), ("192.0.2.2", 3478)


class Nat:
    """What each server would find; what was asked, and what was applied."""

    def __init__(self) -> None:
        self.lived: dict[tuple[str, int], float | None] = {}
        self.asked: list[tuple[tuple[str, int], float, str | None, bool]] = []
        self.applied: list[float] = []
        self.servers: list[tuple[str, int]] = [A]
        self.free = asyncio.Event()
        self.free.set()

    async def probe(
        self, server: tuple[str, int], limit: float, *, local: str | None = None, used: bool = False
    ) -> float | None:
        self.asked.append((server, limit, local, used))
        await self.free.wait()
        return self.lived.get(server)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[KeepAlive]:
        watching = KeepAlive(lambda: (LOCAL, self.servers), self.applied.append)
        try:
            yield watching
        finally:
            await watching.close()


@pytest.fixture
def nat(monkeypatch: pytest.MonkeyPatch) -> Nat:
    made = Nat()
    monkeypatch.setattr(keepalive, "SETTLE", 0.0)
    monkeypatch.setattr(keepalive, "probe_lifetime", made.probe)
    return made


async def done(watching: KeepAlive) -> None:
    await until(lambda: watching._measuring is not None and watching._measuring.done())


@pytest.mark.parametrize(
    ("lived", "interval"), [(20.0, 10.0), (LIMIT, REST_MOST), (300.0, REST_MOST), (5.0, REST_LEAST), (0.0, REST_LEAST)]
)
async def test_half_of_what_the_nat_remembers(nat: Nat, lived: float, interval: float) -> None:
    nat.lived[A] = lived
    async with nat.watched() as watching:
        assert watching.interval == REST
        watching.learned()
        await done(watching)
        assert nat.asked == [(A, LIMIT, LOCAL, True)]
        assert (watching.interval, nat.applied) == (interval, [interval])
        watching.learned()
        await done(watching)
        assert len(nat.asked) == 1, "once a network"


async def test_another_server_where_the_first_cannot_tell_and_no_third(nat: Nat) -> None:
    nat.servers, nat.lived[B] = [A, B], 24.0
    async with nat.watched() as watching:
        watching.learned()
        await done(watching)
        assert ([server for server, *_ in nat.asked], nat.applied) == ([A, B], [12.0])
    nat.servers, nat.asked = [A, A, B], []
    async with nat.watched() as watching:
        watching.learned()
        await done(watching)
        assert ([server for server, *_ in nat.asked], nat.applied) == ([A, A], [12.0])


async def test_nobody_to_ask_costs_nothing_and_may_come_later(nat: Nat) -> None:
    nat.servers, nat.lived[A] = [], 24.0
    async with nat.watched() as watching:
        watching.learned()
        assert watching._measuring is None
        nat.servers = [A]
        watching.learned()
        await done(watching)
        assert nat.applied == [12.0]


async def test_another_network_begins_anew(nat: Nat) -> None:
    nat.lived[A] = 24.0
    async with nat.watched() as watching:
        watching.learned()
        await done(watching)
        watching.network_changed()
        assert nat.applied == [12.0, REST]
        nat.free.clear()
        watching.learned()
        await until(lambda: len(nat.asked) == 2)
        first = watching._measuring
        watching.network_changed()
        nat.free.set()
        await until(lambda: first is not None and first.done())
        assert nat.applied == [12.0, REST], "what was measured in the former network counts no more"


async def test_a_mapping_that_is_lost_again_and_again_is_kept_alive_more_often(nat: Nat) -> None:
    async with nat.watched() as watching:
        watching.forgotten()
        assert nat.applied == [], "a router that was switched on again"
        watching.forgotten()
        assert nat.applied == [REST / 2]
        for _ in range(8):
            watching.forgotten()
        assert nat.applied == [REST / 2, REST_LEAST]
        watching.network_changed()
        watching.forgotten()
        assert watching.interval == REST


async def test_closed_while_it_measures(nat: Nat) -> None:
    nat.free.clear()
    async with nat.watched() as watching:
        watching.learned()
        await until(lambda: bool(nat.asked))
    assert watching._measuring is not None
    assert watching._measuring.cancelled()
    watching.learned()
    watching.network_changed()
    watching.learned()
    assert watching._measuring is None
