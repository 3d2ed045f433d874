"""Attempts and accepted sessions, with an endpoint that the test scripts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from atmosphere.credentials import DialSecret
from atmosphere.errors import Refused, Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.session import IceSession
from atmosphere.mesh import dialer as module
from atmosphere.mesh import signals
from atmosphere.mesh.dialer import Dialer, new_ufrag
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.restart import MARKER
from tests.mesh.fakes import ALICE, BOB, HOST, SRFLX, FakeSession, sessions
from tests.until import until

SECRET = DialSecret(b"s" * 16)
OTHER = DialSecret(b"t" * 16)


class FakeListener:
    def __init__(self) -> None:
        self.made: dict[str, FakeSession] = {}
        self.full = False
        self.closed = False

    def session(self, ufrag: str) -> FakeSession | None:
        if self.full:
            return None
        session = self.made.setdefault(ufrag, FakeSession(ufrag))
        session.state = "checking"
        return session

    def close(self) -> None:
        self.closed = True


class FakeEndpoint:
    def __init__(self) -> None:
        self.candidates: list[Candidate] = [HOST]
        self.dialed: list[tuple[IceCredentials, IceCredentials]] = []
        self.session = FakeSession()
        self.listeners: dict[str, FakeListener] = {}
        self.accepted: dict[str, Callable[[IceSession], None]] = {}
        self.password_for: Callable[[str], str | None] = lambda ufrag: None

    def dial(self, local: IceCredentials, remote: IceCredentials) -> FakeSession:
        self.dialed.append((local, remote))
        return self.session

    def listen(self, ufrag: str, password: str, password_for: Any, on_session: Any) -> FakeListener:
        self.accepted[ufrag] = on_session
        self.password_for = password_for
        return self.listeners.setdefault(ufrag, FakeListener())


@pytest.fixture
async def made() -> AsyncIterator[tuple[Dialer, FakeEndpoint]]:
    endpoint = FakeEndpoint()
    dialer = Dialer(cast("IceEndpoint", endpoint), ALICE)
    yield dialer, endpoint
    await dialer.close()


Made = tuple[Dialer, FakeEndpoint]


class Sent(list[signals.Message]):
    async def __call__(self, message: signals.Message) -> None:
        self.append(message)


async def nothing(link: PeerLink) -> None:
    """Greet nobody."""


def test_ufrags_sort_by_rank() -> None:
    assert new_ufrag(0) < new_ufrag(1) < new_ufrag(2)


async def test_a_dial_checks_what_is_known_under_credentials_of_the_secret(made: Made) -> None:
    dialer, endpoint = made
    exchange = dialer.begin(SECRET, [SRFLX], Sent(), ufrag="chosen")
    local, remote = endpoint.dialed[0]
    assert (local.ufrag, local.password) == ("chosen", SECRET.dialer_password("chosen"))
    assert (remote.ufrag, remote.password) == (SECRET.ufrag, SECRET.password)
    assert endpoint.session.remotes == [SRFLX]
    dialer.answered(signals.Candidates("another", [HOST.to_sdp()]))
    assert not exchange.answered
    dialer.answered(signals.Candidates("chosen", [HOST.to_sdp()]))
    assert [remote.endpoint for remote in endpoint.session.remotes] == [SRFLX.endpoint, HOST.endpoint]


async def test_an_attempt_that_fails_leaves_nothing(made: Made) -> None:
    dialer, endpoint = made
    endpoint.session.state = "checking"
    exchange = dialer.begin(SECRET, [], Sent(), ufrag="chosen")
    with pytest.raises(Unreachable):
        await dialer.finish(exchange, nothing)
    assert endpoint.session.state == "closed"
    dialer.answered(signals.Candidates("chosen", []))
    assert not exchange.answered


async def test_an_attempt_that_is_refused_leaves_nothing(made: Made) -> None:
    dialer, endpoint = made
    endpoint.session, other = sessions()
    host = PeerLink(other.real, BOB, dialed=False)
    opening = asyncio.ensure_future(host.open(10))

    async def refuse(link: PeerLink) -> None:
        assert link.peer_id == BOB.node_id
        raise Refused("no")

    with pytest.raises(Refused):
        await dialer.finish(dialer.begin(SECRET, [], Sent(), ufrag="chosen"), refuse)
    assert endpoint.session.closed.is_set()
    await opening
    await host.close("over", say=False)


async def test_listening_is_once_a_key_and_ends(made: Made) -> None:
    dialer, endpoint = made
    for _ in range(2):
        dialer.listen("bob", SECRET, lambda session: None)
    dialer.listen("carol", OTHER, lambda session: None)
    assert dialer.listening() == {"bob", "carol"}
    dialer.unlisten("bob")
    dialer.unlisten("bob")
    assert endpoint.listeners[SECRET.ufrag].closed
    await dialer.close()
    assert endpoint.listeners[OTHER.ufrag].closed
    assert dialer.listening() == set()


async def test_a_signaled_dial_makes_a_session_and_is_answered(made: Made) -> None:
    dialer, endpoint = made
    dialer.listen("bob", SECRET, lambda session: None)
    sent = Sent()
    dialer.dialed("bob", signals.Dial("dial", [SRFLX.to_sdp()]), sent)
    await until(lambda: sent)
    assert sent == [signals.Candidates("dial", [HOST.to_sdp()])]
    session = endpoint.listeners[SECRET.ufrag].made["dial"]
    assert [remote.endpoint for remote in session.remotes] == [SRFLX.endpoint]
    # It repeats itself: perhaps our answer was lost.
    dialer.dialed("bob", signals.Dial("dial", [SRFLX.to_sdp()]), sent)
    await until(lambda: len(sent) == 2)
    assert sent[1] == sent[0]
    endpoint.candidates = [HOST, SRFLX]
    dialer.tell_candidates()
    await until(lambda: len(sent) == 3)
    session.state = "connected"
    dialer.tell_candidates()
    await until(lambda: not dialer._accepting)


async def test_dials_that_cannot_be_taken_are_ignored(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    dialer, endpoint = made
    sent = Sent()
    dialer.dialed("stranger", signals.Dial("dial", []), sent)
    dialer.listen("bob", SECRET, lambda session: None)
    endpoint.listeners[SECRET.ufrag].full = True
    dialer.dialed("bob", signals.Dial("dial", []), sent)
    endpoint.listeners[SECRET.ufrag].full = False
    monkeypatch.setattr(module, "MAX_ACCEPTED", 1)
    dialer.dialed("bob", signals.Dial("first", []), sent)
    dialer.dialed("bob", signals.Dial("second", []), sent)
    assert list(endpoint.listeners[SECRET.ufrag].made) == ["first"]


async def test_the_dials_of_one_member_leave_room_for_those_of_others(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ACCEPTED_OF_ONE", 2)
    dialer, endpoint = made
    dialer.listen("bob", SECRET, lambda session: None)
    dialer.listen("carol", OTHER, lambda session: None)
    for ufrag in ("first", "second", "third"):
        dialer.dialed("bob", signals.Dial(ufrag, []), Sent())
    dialer.dialed("carol", signals.Dial("dial", []), Sent())
    assert list(endpoint.listeners[SECRET.ufrag].made) == ["first", "second"]
    assert list(endpoint.listeners[OTHER.ufrag].made) == ["dial"]


async def test_restarts_without_end_are_not_answered(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module, "_now", lambda: now)
    dialer, endpoint = made
    dialer.listen("bob", SECRET, lambda session: None)
    of_bob = endpoint.password_for
    dialer.listen("carol", OTHER, lambda session: None)
    burst = int(module.RESTARTS_BURST)
    answered = [of_bob(f"{MARKER}{number}") is not None for number in range(burst + 2)]
    assert answered == [True] * burst + [False, False]
    assert of_bob("dial") is not None, "a dial is no restart"
    assert endpoint.password_for(f"{MARKER}1") is not None, "of another member"
    now = 1 / module.RESTARTS_RATE
    assert [of_bob(f"{MARKER}{number}") is not None for number in "ab"] == [True, False]


async def test_an_accepted_session_that_comes_to_nothing_is_a_line_in_the_log(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    dialer, _ = made
    session = FakeSession()
    session.state = "checking"
    dialer.accept(session.real, nothing, lambda link: pytest.fail("it was greeted"))
    await asyncio.wait_for(session.closed.wait(), 5)
    assert "came to nothing: no path" in caplog.text


async def test_who_connects_and_says_nothing_has_so_many_places(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ACCEPTED_OF_ONE", 2)
    monkeypatch.setattr(module, "MAX_ACCEPTED", 3)
    dialer, endpoint = made
    dialer.listen("bob", SECRET, lambda session: None)
    of_bob = endpoint.password_for
    dialer.listen("carol", OTHER, lambda session: None)
    of_carol = endpoint.password_for

    def comes(ufrag: str) -> tuple[bool, bool]:
        """Somebody with that secret comes and is silent; whether one more of each would be answered."""
        session, _ = sessions()
        session.local_ufrag = ufrag
        dialer.accept(session.real, nothing, lambda link: None)
        return of_bob("dial") is not None, of_carol("dial") is not None

    assert comes(SECRET.ufrag) == (True, True)
    assert comes(SECRET.ufrag) == (False, True)
    assert comes(OTHER.ufrag) == (False, False)
    await dialer.close()
    assert of_bob("dial") == SECRET.dialer_password("dial")
    assert not dialer._making


async def test_accepted_sessions_end_with_the_dialer(made: Made) -> None:
    dialer, _ = made
    one, other = sessions()
    begun, met = asyncio.Event(), list[PeerLink]()

    async def wait(link: PeerLink) -> None:
        met.append(link)
        begun.set()
        await asyncio.Event().wait()

    dialer.accept(one.real, wait, lambda link: None)
    host = PeerLink(other.real, BOB, dialed=True)
    await host.open(10)
    await asyncio.wait_for(begun.wait(), 5)
    await dialer.close()
    assert one.closed.is_set()
    assert len(met[0]._tasks) == 0, "nor does anybody wait on for what the link's owner may say"
    await host.close("over", say=False)


async def test_a_greeted_session_is_handed_on(made: Made) -> None:
    dialer, _ = made
    one, other = sessions()
    greeted: list[PeerLink] = []
    dialer.accept(one.real, nothing, greeted.append, invited=True)
    host = PeerLink(other.real, BOB, dialed=True)
    await host.open(10)
    await until(lambda: greeted)
    assert (greeted[0].peer_id, greeted[0].invited, greeted[0].dialed) == (BOB.node_id, True, False)
    for link in (host, greeted[0]):
        await link.close("over", say=False)


async def test_another_session_of_a_link_is_followed_until_it_has_a_path(made: Made) -> None:
    dialer, endpoint = made
    sent = Sent()
    exchange = dialer.begin(SECRET, [], sent, ufrag="chosen")
    await dialer.follow(exchange, 5)
    assert not endpoint.session.closed.is_set()
    assert not dialer._dialing


async def test_one_that_finds_no_path_is_closed(made: Made) -> None:
    dialer, endpoint = made
    endpoint.session.state = "checking"
    with pytest.raises(Unreachable):
        await dialer.follow(dialer.begin(SECRET, [], Sent(), ufrag="chosen"), 5)
    assert endpoint.session.closed.is_set()
    assert not dialer._dialing


async def test_a_session_for_no_link_of_ours_may_connect_and_has_its_time_and_place(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DISOWNED", 0.01)
    monkeypatch.setattr(module, "MAX_ACCEPTED_OF_ONE", 1)
    dialer, endpoint = made
    dialer.listen("bob", SECRET, lambda session: None)
    session = FakeSession()
    session.local_ufrag = SECRET.ufrag
    dialer.disown(session.real)
    assert endpoint.password_for("dial") is None
    assert not session.closed.is_set()
    await asyncio.wait_for(session.closed.wait(), 5)
    await until(lambda: endpoint.password_for("dial") is not None)
    last = FakeSession()
    monkeypatch.setattr(module, "DISOWNED", 3600.0)
    dialer.disown(last.real)
    await asyncio.sleep(0)
    await dialer.close()
    assert last.closed.is_set()
    unseen = FakeSession()
    dialer.disown(unseen.real)
    assert not dialer._making
