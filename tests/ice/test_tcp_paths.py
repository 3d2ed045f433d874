"""atmosphere.ice.tcp_paths: what a session makes of its connections, on real ones; see test_tcp_host for the whole."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from atmosphere.ice import tcp_paths, tcp_plan
from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import PathLost, PathSelected, RemoteSeen
from atmosphere.ice.pair import CandidatePair, PathClass
from atmosphere.ice.router import Claim
from atmosphere.ice.tcp_candidates import remote_active, tcp_host
from atmosphere.ice.tcp_connection import TcpConnection
from atmosphere.ice.tcp_framing import frame
from atmosphere.ice.tcp_paths import MAX_CONNECTIONS, TcpPaths
from atmosphere.tasks import Tasks
from tests.ice.vnet import make_candidate
from tests.until import until

UDP = make_candidate("host", ("127.0.0.1", 7777))
ACTIVE, PASSIVE = tcp_host(UDP, "active"), tcp_host(UDP, "passive", 7777)


class FakeSession:
    """Remembers what it is told; `answers` says that the remote answered over every connection."""

    def __init__(self) -> None:
        self.policy = "any"
        self.path_class: int | None = None
        self.claims: dict[tuple[int, tuple[str, int]], Claim] = {}
        self.told: list[tuple[Any, ...]] = []
        self.answers = False

    def add_connection(self, local: Candidate, base: int, remote: Candidate) -> None:
        self.told.append(("added", base))
        self.claims[base, remote.endpoint] = Claim(0.0, 1.0 if self.answers else float("-inf"))

    def remove_base(self, base: int) -> None:
        self.told.append(("removed", base))


class Home:
    """The endpoint's part, and a listener that the session can connect to."""

    def __init__(self) -> None:
        self.tasks = Tasks("test")
        self.bases: dict[int, Base] = {}
        self.got: list[tuple[int, bytes]] = []
        self.error: OSError | None = None
        self.numbers = iter(range(1, 1000))
        self.accepted: list[socket.socket] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        asyncio.get_running_loop().add_reader(self.server, lambda: self.accepted.append(self.server.accept()[0]))

    @property
    def remote(self) -> Candidate:
        return tcp_host(UDP, "passive", self.server.getsockname()[1])

    def enter(self, candidate: Candidate, connection: TcpConnection) -> Base:
        base = Base(next(self.numbers), candidate, connection.send)
        self.bases[base.id] = base
        return base

    def leave(self, base: Base) -> None:
        del self.bases[base.id]

    def receive(self, base: Base, datagram: bytes, source: tuple[str, int]) -> None:
        self.got.append((base.id, datagram))

    def open_socket(self, local: Candidate, remote: Candidate) -> socket.socket:
        if self.error is not None:
            raise self.error
        sock = socket.socket()
        sock.setblocking(False)
        return sock

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.server)
        for sock in (self.server, *self.accepted):
            sock.close()
        await self.tasks.close()


@pytest.fixture
async def home() -> Any:
    made = Home()
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_plan, "HEAD_START", 0.0)
    monkeypatch.setattr(tcp_plan, "BACK_OFF", (0.0, 60.0))


def make(home: Home, **said: Any) -> tuple[TcpPaths, FakeSession]:
    session = FakeSession()
    for name, value in said.items():
        setattr(session, name, value)
    return TcpPaths(session, home), session  # type: ignore[arg-type]


def selected(path_class: int) -> PathSelected:
    base, remote = (UDP, UDP) if path_class == PathClass.DIRECT_UDP else (ACTIVE, PASSIVE)
    return PathSelected(CandidatePair(1, base, remote, base, 0.0), None)


async def test_a_connection_is_a_base_that_carries_datagrams(home: Home) -> None:
    paths, session = make(home)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: home.bases)
    assert session.told == [("added", 1)]
    assert paths.report() == []
    await until(lambda: home.accepted)
    home.accepted[0].send(frame(b"hello"))
    await until(lambda: home.got == [(1, b"hello")])
    paths.close()
    assert session.told == [("added", 1), ("removed", 1)]
    assert (len(paths), home.bases) == (0, {})
    assert paths.report() == [], "its end with the session is no failure"


async def test_refused_connections_are_reported_and_tried_again(home: Home) -> None:
    paths, _ = make(home)
    home.error = OSError(13, "Permission denied")
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: [(one.checks_sent, one.state) for one in paths.report()] == [(2, "failed")])
    assert [report.why for report in paths.report()] == ["permission denied"]
    home.error = None
    paths.heard(PathLost(3.0))
    await until(lambda: home.bases)
    paths.close()


async def test_one_that_takes_too_long_is_given_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_paths, "CONNECT_TIMEOUT", 0.01)
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", lambda *_: asyncio.Event().wait())
    paths, _ = make(home)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: [report.why for report in paths.report()] == ["no connection within 0.01 s"])
    paths.close()


async def test_an_error_without_a_number_is_one(home: Home) -> None:
    paths, _ = make(home)
    home.error = OSError("strange")
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: [report.why for report in paths.report()] == ["no connection"])
    paths.close()


async def test_udp_ends_what_is_under_way(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", lambda *_: asyncio.Event().wait())
    paths, _ = make(home)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: [report.state for report in paths.report()] == ["in progress"])
    paths.heard(selected(PathClass.DIRECT_UDP))
    await until(lambda: [report.why for report in paths.report()] == ["UDP works"])
    paths.close()


async def test_the_end_of_the_session_ends_what_is_under_way(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", lambda *_: asyncio.Event().wait())
    paths, _ = make(home)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: [report.state for report in paths.report()] == ["in progress"])
    paths.close()
    await until(lambda: [report.why for report in paths.report()] == ["the session is over"])


async def test_udp_ends_what_has_not_even_begun(home: Home) -> None:
    paths, _ = make(home)
    paths._plan.add_remote(ACTIVE, home.remote, 0.0)
    paths._look(asyncio.get_running_loop().time())
    paths.heard(selected(PathClass.DIRECT_UDP))
    await until(lambda: [report.why for report in paths.report()] == ["UDP works"])
    paths.close()


async def test_udp_ends_our_connections_after_a_while(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_plan, "LINGER", 0.05)
    paths, session = make(home)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: home.bases)
    theirs = TcpConnection()
    paths.adopt(theirs, PASSIVE, remote_active(("127.0.0.1", 5), 1000), is_ours=False)
    paths.heard(selected(PathClass.DIRECT_UDP))
    await until(lambda: ("removed", 1) in session.told)
    assert list(home.bases) == [2], "those of the remote's are its own business"
    paths.close()


async def test_a_session_that_has_a_path_connects_nowhere(home: Home) -> None:
    paths, _ = make(home, path_class=PathClass.DIRECT_UDP)
    paths.add_remote(ACTIVE, home.remote)
    paths.heard(RemoteSeen(1, ("192.0.2.1", 1)))
    assert paths._plan.is_direct
    assert [report.state for report in paths.report()] == ["waiting"]
    paths.close()


async def test_a_dead_path_gets_a_new_connection_that_replaces_the_old(home: Home) -> None:
    paths, session = make(home, answers=True)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: home.bases)
    paths.heard(selected(PathClass.DIRECT_TCP))
    paths.heard(PathLost(3.0))
    await until(lambda: list(home.bases) == [2])
    assert session.told == [("added", 1), ("added", 2), ("removed", 1)]
    assert paths.report() == [], "the old one's end is not the end"
    paths.close()


async def test_a_connection_that_ends_is_made_anew(home: Home) -> None:
    paths, session = make(home, answers=True)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: home.accepted)
    home.accepted[0].close()
    await until(lambda: list(home.bases) == [2])
    assert session.told == [("added", 1), ("removed", 1), ("added", 2)]
    paths.close()


async def test_one_over_which_nobody_answers_is_closed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_paths, "PROVE", 0.02)
    paths, session = make(home)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: ("removed", 1) in session.told)
    assert any("nobody answered" in report.why for report in paths.report()) or home.bases
    paths.close()
    alive, session = make(home, answers=True)
    base = alive.adopt(TcpConnection(), PASSIVE, remote_active(("127.0.0.1", 5), 1000), is_ours=False)
    alive._judge(alive._ways[0])
    assert session.told == [("added", base.id)]
    alive.close()


async def test_of_many_connections_those_that_proved_nothing_go(home: Home) -> None:
    paths, session = make(home, answers=True)
    for number in range(MAX_CONNECTIONS + 1):
        session.answers = number != 3
        paths.adopt(TcpConnection(), PASSIVE, remote_active(("127.0.0.1", 5 + number), 1000), is_ours=False)
    assert [number for what, number in session.told if what == "removed"] == [4]
    paths.adopt(TcpConnection(), PASSIVE, remote_active(("127.0.0.1", 99), 1000), is_ours=False)
    assert [number for what, number in session.told if what == "removed"] == [4, 1], "else the oldest"
    assert len(paths) == MAX_CONNECTIONS
    paths.close()


async def test_one_that_ended_while_it_was_made_is_none(home: Home) -> None:
    paths, session = make(home)
    paths._plan.add_remote(ACTIVE, home.remote, 0.0)
    connection = TcpConnection()
    connection.close()
    paths._connected(connection, ACTIVE, home.remote)
    assert session.told == []
    assert [report.state for report in paths.report()] == ["failed"]
    paths.close()


async def test_a_home_that_closes_starts_nothing(home: Home) -> None:
    await home.tasks.close()
    paths, _ = make(home)
    paths.add_remote(ACTIVE, home.remote)
    await until(lambda: [report.state for report in paths.report()] == ["in progress"])
    paths.close()
