"""One way over several sessions: which is used, which are closed, and what is told. The sessions are scripted."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.ice import mobility
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import (
    ConsentExpired,
    IceEvent,
    IceFailed,
    PathLost,
    PathRestored,
    PathSelected,
    RemoteSeen,
)
from atmosphere.ice.mobility import MAX_SESSIONS, MobilePath
from atmosphere.ice.session import IceSession
from tests.until import until

HOST = Candidate.from_sdp("f 1 udp 2113937151 192.0.2.1 7777 typ host")


class Session:
    """As much of an IceSession as a path asks of one."""

    def __init__(self, name: str = "first") -> None:
        self.name = name
        self.state = "checking"
        self.selected: Any = None
        self.kin: Any = None
        self.on_event: Any = None
        self.on_datagram: Any = None
        self.sent: list[bytes] = []
        self.remotes: list[Candidate] = []
        self.suspected = False
        self.quiet = 0.5
        self.pairs: list[Any] = []

    def __repr__(self) -> str:
        return self.name

    def send(self, datagram: bytes) -> None:
        self.sent.append(datagram)

    def suspect(self) -> None:
        self.suspected = True

    def distrust(self, reason: str) -> None:
        self.selected, self.state = None, "disconnected"
        self.on_event(PathLost(0.0))

    def add_remote(self, candidate: Candidate) -> None:
        self.remotes.append(candidate)

    def report(self) -> list[Any]:
        return self.pairs

    def close(self) -> None:
        self.state = "closed"

    def connect(self) -> None:
        before, self.selected, self.state = self.selected, f"{self.name}'s pair", "connected"
        self.on_event(PathSelected(self.selected, before))

    def lose(self) -> None:
        self.state = "disconnected"
        self.on_event(PathLost(3.0))

    def restore(self) -> None:
        self.state = "connected"
        self.on_event(PathRestored())

    def fail(self, event: IceEvent | None = None) -> None:
        self.on_event(event or ConsentExpired())
        self.state = "failed"

    @property
    def real(self) -> IceSession:
        return cast("IceSession", self)


class Way:
    """A path over a first session, and what it told."""

    def __init__(self, *, kept: bool = True, connected: bool = True) -> None:
        self.first = Session()
        self.path = MobilePath(self.first.real)
        self.told: list[IceEvent] = []
        self.path.on_event = self.told.append
        if connected:
            self.first.connect()
            self.told.clear()
        if kept:
            self.path.keep()

    def attach(self, name: str, generation: int, rank: int = 1) -> Session:
        session = Session(name)
        self.path.attach(session.real, (generation, -rank))
        return session

    def kinds(self) -> list[str]:
        kinds = [type(event).__name__ for event in self.told]
        self.told.clear()
        return kinds


@pytest.fixture
async def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Former sessions linger for a moment only."""
    monkeypatch.setattr(mobility, "LINGER", 0.001)


async def test_one_session_is_as_it_was() -> None:
    way = Way(kept=False, connected=False)
    assert (way.path.state, repr(way.path)) == ("checking", "MobilePath(checking, 1 sessions)")
    way.first.on_event(RemoteSeen(1, ("192.0.2.1", 1)))
    way.first.connect()
    way.first.lose()
    way.first.restore()
    assert way.kinds() == ["RemoteSeen", "PathSelected", "PathLost", "PathRestored"]
    way.first.fail()
    assert way.kinds() == ["ConsentExpired"]
    assert way.path.state == "closed"


async def test_nobody_needs_to_listen() -> None:
    way = Way()
    way.path.on_event = None
    way.first.lose()
    assert way.path.state == "disconnected"
    way.path.close()


async def test_without_any_path_the_first_failure_is_the_end_even_if_kept() -> None:
    way = Way(connected=False)
    way.first.fail(IceFailed("no way"))
    assert way.told == [IceFailed("no way")]
    assert way.path.sessions == []


async def test_a_kept_link_outlives_its_session_and_goes_on_over_a_successor() -> None:
    way = Way()
    got: list[bytes] = []
    way.path.on_datagram = got.append
    way.first.lose()
    way.first.fail()
    assert (way.kinds(), way.path.state) == (["PathLost"], "disconnected")
    second = way.attach("second", 1)
    assert second.kin is way.path
    assert way.path.state == "disconnected"
    second.connect()
    assert way.told == [PathSelected(cast("Any", "second's pair"), cast("Any", "first's pair")), PathRestored()]
    way.path.send(b"out")
    second.on_datagram(b"in")
    assert (second.sent, got, way.path.state) == ([b"out"], [b"in"], "connected")
    way.path.close()


async def test_a_successor_begins_where_the_remote_was_and_hears_of_new_places() -> None:
    way = Way()
    way.first.pairs = [SimpleNamespace(remote=HOST)] * 2
    second = way.attach("second", 1)
    way.path.add_remote(HOST)
    assert (way.first.remotes, second.remotes) == ([HOST], [HOST, HOST])
    way.path.close()
    assert (way.first.state, second.state) == ("closed", "closed")


async def test_a_successor_takes_over_while_the_former_one_still_works_and_then_lingers(brief: None) -> None:
    way = Way()
    second = way.attach("second", 1)
    second.connect()
    assert way.kinds() == ["PathSelected"]
    assert way.path.session is second.real
    way.first.lose()
    way.first.restore()
    assert way.kinds() == []
    await until(lambda: way.first.state == "closed")
    assert way.path.sessions == [second.real]
    way.first.on_event(PathRestored())
    assert way.kinds() == []


async def test_while_the_successor_has_no_path_the_former_one_is_used_and_stays(brief: None) -> None:
    way = Way()
    second = way.attach("second", 1)
    second.connect()
    second.lose()
    assert (way.path.session, way.kinds()) == (way.first.real, ["PathSelected", "PathSelected"])
    second.restore()
    assert (way.path.session, way.kinds()) == (second.real, ["PathSelected"])
    second.lose()
    way.first.lose()
    assert way.kinds() == ["PathSelected", "PathLost"]
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(0.01, passed.set_result, None)
    await passed
    assert way.first.state == "disconnected"
    way.first.restore()
    assert way.kinds() == ["PathRestored"]
    way.path.close()


@pytest.mark.parametrize("ours_first", [True, False])
async def test_of_two_begun_at_once_both_ends_use_the_same(ours_first: bool) -> None:
    way = Way()
    way.first.fail()
    ours, theirs = way.attach("ours", 1, rank=1), way.attach("theirs", 1, rank=2)
    for session in (ours, theirs) if ours_first else (theirs, ours):
        session.connect()
    assert way.path.session is ours.real
    way.path.close()


async def test_a_successor_that_fails_changes_nothing() -> None:
    way = Way()
    way.attach("second", 1).fail(IceFailed("no way"))
    assert (way.kinds(), way.path.state, way.path.sessions) == ([], "connected", [way.first.real])
    way.path.close()


async def test_a_session_that_was_lost_and_comes_back_is_enough() -> None:
    way = Way()
    way.first.lose()
    second = way.attach("second", 1)
    way.first.restore()
    assert way.kinds() == ["PathLost", "PathRestored"]
    second.connect()
    assert way.path.session is second.real
    way.path.close()


async def test_a_session_that_works_when_it_is_attached_is_used_at_once() -> None:
    way = Way()
    second = Session("second")
    second.state, second.selected = "connected", "second's pair"
    way.path.attach(second.real, (1, -1))
    assert way.path.session is second.real
    way.path.close()


async def test_there_are_few_sessions_and_the_one_in_use_is_never_given_up_for_another() -> None:
    way = Way()
    many = [way.attach(str(number), number) for number in range(1, 2 * MAX_SESSIONS)]
    assert len(way.path.sessions) == MAX_SESSIONS
    assert way.first.real in way.path.sessions
    assert [session.state for session in many[-MAX_SESSIONS + 1 :]] == ["checking"] * (MAX_SESSIONS - 1)
    assert {session.state for session in many[: -MAX_SESSIONS + 1]} == {"closed"}
    way.path.close()


async def test_a_link_is_kept_for_a_time_and_no_longer() -> None:
    way = Way()
    way.path.keep(0.001)
    way.first.lose()
    second = way.attach("second", 1)
    await until(lambda: way.path.state == "closed")
    assert way.told == [PathLost(3.0), IceFailed("there was no path for 0.001 s")]
    assert (way.first.state, second.state) == ("closed", "closed")
    late = way.attach("late", 2)
    assert late.state == "closed"


async def test_keeping_may_begin_when_the_path_is_lost_already() -> None:
    way = Way(kept=False)
    way.first.lose()
    way.path.keep(0.001)
    way.path.keep(0.001)
    await until(lambda: way.path.state == "closed")


async def test_a_path_in_time_ends_the_waiting() -> None:
    way = Way()
    way.first.lose()
    way.first.restore()
    assert way.path._giving_up is None
    way.path.close()
    way.path.close()


async def test_a_successor_that_its_maker_closed_is_forgotten() -> None:
    way = Way()
    second = way.attach("second", 1)
    way.path.let_go(second.real)
    assert way.path.sessions == [second.real, way.first.real], "one that is not over stays"
    second.close()
    way.path.let_go(second.real)
    way.path.let_go(second.real)
    assert way.path.sessions == [way.first.real]


async def test_where_data_is_not_answered_another_session_takes_over() -> None:
    way, got = Way(), list[bytes]()
    way.path.on_datagram = got.append
    second = way.attach("second", 1)
    second.connect()
    way.path.suspect()
    assert (second.suspected, way.first.suspected) == (True, False)
    assert way.path.quiet == 0.5
    moves = way.path.moves
    way.path.distrust()
    assert way.told[-1] == PathSelected(cast("Any", "first's pair"), None)
    assert (way.path.session, way.path.moves) == (way.first.real, moves + 1)
    assert way.path.on_datagram == second.on_datagram == way.first.on_datagram
    way.path.close()


async def test_what_holds_for_a_link_is_set_on_each_of_its_sessions() -> None:
    way, seen = Way(), list[IceSession]()
    way.path.on_session = seen.append
    second = way.attach("second", 1)
    assert seen == [way.first.real, second.real]
    assert way.path.on_session is not None
    way.path.on_session = None
    way.attach("third", 2)
    assert len(seen) == 2
    way.path.close()
