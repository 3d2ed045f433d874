"""atmosphere.ice.following, without a kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from atmosphere.ice import following as module
from atmosphere.ice.following import Following
from atmosphere.udp.clock import Clocks
from atmosphere.udp.netlink import AddressChange, LinkChange, NetworkChange, RouteChange
from tests.until import until

GONE = AddressChange("192.0.2.7", True)
OWN = frozenset({"192.0.2.7", "eth0"})


class Followed:
    """A network that was looked at: `looks` says how sure each look was, `found` what the next ones find."""

    def __init__(self) -> None:
        self.looks: list[bool] = []
        self.found = False
        self.following = Following(self.look, lambda: OWN)

    def look(self, sure: bool) -> bool:
        self.looks.append(sure)
        return self.found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE", 0.01)
    monkeypatch.setattr(module, "LONGEST", 0.05)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """A kernel that says nothing; whether it was left."""
    left: list[bool] = []

    class Silent:
        def close(self) -> None:
            left.append(True)

    monkeypatch.setattr("atmosphere.ice.following.NetlinkSocket.open", lambda heard: Silent())
    yield left


async def test_a_loss_is_looked_at_at_once_and_a_flapping_link_when_it_settled(quick: None) -> None:
    followed = Followed()
    followed.following.start()
    followed.following.heard([GONE])
    assert followed.looks == [True]
    for _ in range(20):
        followed.following.heard([LinkChange("eth0", False), LinkChange("eth0", True)])
    assert followed.looks == [True]
    await until(lambda: len(followed.looks) == 2)
    assert followed.looks == [True, True]
    followed.following.close()


@pytest.mark.parametrize(
    ("change", "sure"),
    [
        (AddressChange("192.0.2.8", False), False),
        (AddressChange("192.0.2.8", True), False),
        (LinkChange("eth0", True), False),
        (LinkChange("docker0", False), False),
        (RouteChange(4, True), False),
        (RouteChange(4, True, gone=True), True),
    ],
)
async def test_other_news_is_looked_at_once_it_has_settled(quick: None, change: NetworkChange, sure: bool) -> None:
    followed = Followed()
    followed.following.start()
    followed.following.heard([change])
    followed.following.heard([change])
    assert followed.looks == []
    await until(lambda: followed.looks)
    assert followed.looks == [sure]
    followed.following.close()


async def test_news_that_never_ends_is_looked_at_all_the_same(quick: None) -> None:
    followed = Followed()
    followed.following.start()
    async with asyncio.timeout(5):
        while len(followed.looks) < 2:
            followed.following.heard([LinkChange("eth0", True)])
            await asyncio.sleep(0.001)
    followed.following.close()


async def test_routes_to_somewhere_are_nobodys_business(quick: None) -> None:
    followed = Followed()
    followed.following.start()
    followed.following.heard([RouteChange(4, False)])
    assert followed.following._timer is None
    followed.following.close()


async def test_what_the_kernel_could_not_say_is_looked_for(quick: None) -> None:
    followed = Followed()
    followed.following.start()
    followed.following.heard(None)
    await until(lambda: followed.looks)
    assert followed.looks == [False]
    followed.following.close()
    followed.following.close()


async def test_doubts_are_looked_into_ever_more_rarely_until_there_was_a_change(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = Followed()
    followed.following.start()
    now = 1000.0
    monkeypatch.setattr(followed.following._loop, "time", lambda: now)
    looked: list[float] = []

    def doubt() -> None:
        followed.following.doubt()
        if followed.following._timer is not None:
            looked.append(now)
            followed.following._look()

    for _ in range(1000):
        doubt()
        now += 0.1
    assert [round(at - 1000) for at in looked] == [0, 1, 3, 7, 15, 31, 63]
    followed.found = True
    now = 2000.0
    doubt()
    looked.clear()
    followed.found = False
    now = 2061.0
    for _ in range(10):
        doubt()
        now += 0.5
    assert looked == [2061.0, 2062.0, 2064.0]
    monkeypatch.undo()
    followed.following.close()


async def test_a_socket_that_finds_no_way_while_all_is_closed_starts_nothing(quick: None) -> None:
    followed = Followed()
    followed.following.start()
    followed.following.close()
    followed.following.doubt()
    await asyncio.sleep(0.03)
    assert followed.looks == []


async def test_without_news_it_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.ice.following.NetlinkSocket.open", lambda heard: None)
    monkeypatch.setattr(module, "TICK", 0.001)
    followed = Followed()
    followed.following.start()
    await until(lambda: len(followed.looks) >= 3)
    assert not any(followed.looks)
    followed.following.close()


def clocks(monkeypatch: pytest.MonkeyPatch, *moments: Clocks) -> None:
    """What the clocks say, one moment after the other."""
    given = iter(moments)
    monkeypatch.setattr(module, "read_clocks", lambda: next(given))


async def test_where_the_kernel_tells_looks_are_rare(monkeypatch: pytest.MonkeyPatch, kernel: list[bool]) -> None:
    clocks(monkeypatch, *(Clocks(n * module.TICK, n * module.TICK, n * module.TICK) for n in range(1000)))
    followed = Followed()
    followed.following.start()
    for _ in range(2 * module.RARELY):
        followed.following._ticked(module.TICK)
    assert followed.looks == [False, False]
    followed.following.close()
    assert kernel == [True]


@pytest.mark.parametrize(
    ("name", "after", "looks"),
    [
        ("an hour of sleep", Clocks(3, 3603, 3603), [True]),
        ("the wall clock set forward by a year", Clocks(3, 3.2e7, 3), []),
        ("the wall clock set back by a year", Clocks(3, -3.2e7, 3), []),
    ],
)
async def test_sleep_is_a_change_and_a_wall_clock_that_was_set_is_none(
    monkeypatch: pytest.MonkeyPatch, kernel: list[bool], name: str, after: Clocks, looks: list[bool]
) -> None:
    clocks(monkeypatch, Clocks(0, 0, 0), after)
    followed = Followed()
    followed.following.start()
    followed.following._ticked(module.TICK)
    assert followed.looks == looks
    followed.following.close()
