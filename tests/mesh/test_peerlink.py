"""One link with its control channel, both ends real, over a path in memory."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import msgspec
import pytest

from atmosphere.errors import DecodeError, LinkError, Refused, Unreachable
from atmosphere.ice.events import IceFailed, PathLost, PathSelected
from atmosphere.mesh import peerlink as module
from atmosphere.mesh import wire
from atmosphere.mesh.peerlink import MAX_OFFERED, MAX_POSTED, PeerLink
from tests.mesh.fakes import ALICE, BOB, FakeSession, linked, sessions
from tests.until import until


class Heard(list[wire.Message]):
    def __call__(self, link: PeerLink, message: wire.Message) -> None:
        self.append(message)


async def test_each_end_knows_the_other() -> None:
    async with linked() as (alice, bob):
        assert (alice.peer_id, bob.peer_id) == (BOB.node_id, ALICE.node_id)
        assert repr(alice) == f"<PeerLink to {BOB.node_id[:8]} dialed>"
        assert repr(bob) == f"<PeerLink to {ALICE.node_id[:8]} accepted>"
        assert alice.alive


async def test_before_there_is_a_path_there_is_no_link() -> None:
    session = FakeSession()
    session.state = "checking"
    link = PeerLink(session.real, ALICE, dialed=True)
    assert (link.peer_id, repr(link)) == ("", "<PeerLink to ? dialed>")
    with pytest.raises(LinkError):
        link.link.path_changed()
    with pytest.raises(LinkError):
        await link.receive()
    with pytest.raises(Unreachable):
        await link.open(5)
    await link.close("nothing came of it")
    assert session.closed.is_set()
    link.abort("twice is fine")


async def test_a_dialer_says_hello_along_with_its_checks() -> None:
    session = FakeSession()
    session.state = "checking"
    link = PeerLink(session.real, ALICE, dialed=True)
    with pytest.raises(Unreachable):
        await link.open(5)
    (hello,) = session.ahead
    assert hello[:3] == b"\x16\xfe\xfd" or hello[:3] == b"\x16\xfe\xff"
    await link.close("nothing came of it")


async def test_whoever_is_greeted_ahead_of_a_path_answers_and_waits_for_it() -> None:
    one, other = sessions()
    other.state, said = "checking", asyncio.Event()
    approached, connected = asyncio.Event(), asyncio.Event()

    async def approach(timeout: float | None = None) -> None:
        await approached.wait()

    async def connect(timeout: float | None = None) -> None:
        said.set()
        await connected.wait()

    other.approached, other.connected = approach, connect  # type: ignore[method-assign]
    dialer, host = PeerLink(one.real, ALICE, dialed=True), PeerLink(other.real, BOB, dialed=False)
    opening = [asyncio.ensure_future(link.open(10)) for link in (dialer, host)]
    await asyncio.sleep(0)
    assert host._link is None, "nobody has said anything"
    approached.set()
    await asyncio.wait_for(opening[0], 5)
    await asyncio.wait_for(said.wait(), 5)
    assert host.peer_id == ALICE.node_id and not opening[1].done()
    other.state = "connected"
    connected.set()
    await asyncio.wait_for(opening[1], 5)
    for link in (dialer, host):
        await link.close("over", say=False)


async def test_a_handshake_that_began_ahead_of_its_path_has_its_time_from_there() -> None:
    session = FakeSession()
    session.state = "checking"

    async def approach(timeout: float | None = None) -> None:
        """Something came, and no path."""

    session.approached = approach  # type: ignore[method-assign]
    host = PeerLink(session.real, BOB, dialed=False)
    opening = asyncio.ensure_future(host.open(60))
    await until(lambda: host._link is not None)
    before = host.link._path.session.deadline()
    assert session.on_event is not None
    session.on_event(PathSelected(cast("Any", None), None))
    after = host.link._path.session.deadline()
    assert before is not None and after is not None and after < before - 10
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await host.close("over", say=False)


async def test_a_handshake_ends_with_its_path() -> None:
    session = FakeSession()
    link = PeerLink(session.real, ALICE, dialed=True)
    opening = asyncio.ensure_future(link.open(60))
    await asyncio.sleep(0)
    assert session.on_event is not None
    session.on_event(PathLost(3.0))
    session.on_event(IceFailed("superseded"))
    with pytest.raises(LinkError, match="superseded"):
        await asyncio.wait_for(opening, 5)
    await link.close("nothing came of it")


async def test_a_handshake_has_its_time_from_the_path_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the path took: both ends are made long before it is there."""
    one, other = FakeSession(), FakeSession()
    one.peer, other.peer = other, one
    links = PeerLink(one.real, ALICE, dialed=True), PeerLink(other.real, BOB, dialed=False)
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + 100)
    await asyncio.gather(*(link.open(10) for link in links))
    for link in links:
        await link.close("over", say=False)


async def test_messages_in_order_both_ways() -> None:
    async with linked() as (alice, bob):
        for number in range(10):
            alice.post(wire.Ping(number))
        assert [await bob.receive() for _ in range(10)] == [wire.Ping(number) for number in range(10)]
        heard = Heard()
        alice.run(heard)
        assert alice.connected_at is not None
        bob.post(wire.Bye("stopped"))
        await until(lambda: heard)
        assert heard == [wire.Bye("stopped")]


async def test_noise_ends_the_link() -> None:
    async with linked() as (alice, bob):
        alice.run(Heard())
        assert bob._control is not None
        await bob._control.send(b"noise")
        assert "not a control message" in await asyncio.wait_for(alice.wait_closed(), 5)
        await bob.wait_closed()
        with pytest.raises(LinkError):
            await bob.receive()


async def test_what_only_newer_versions_say_is_skipped() -> None:
    async with linked() as (alice, bob):
        assert bob._control is not None
        news = msgspec.msgpack.encode([99, "news"])
        await bob._control.send(news)
        bob.post(wire.Ping(1))
        assert await alice.receive() == wire.Ping(1)
        heard = Heard()
        alice.run(heard)
        await bob._control.send(news)
        bob.post(wire.Ping(2))
        await until(lambda: heard)
        assert heard == [wire.Ping(2)]


async def test_noise_before_anybody_listens_is_an_error() -> None:
    async with linked() as (alice, bob):
        assert bob._control is not None
        await bob._control.send("text")
        with pytest.raises(DecodeError):
            await alice.receive()


@pytest.mark.parametrize("error", [Refused("no"), OSError("the disk is full")])
async def test_a_message_that_cannot_be_handled_is_lost_alone(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with linked() as (alice, bob):
        heard = Heard()

        def handle(link: PeerLink, message: wire.Message) -> None:
            if message == wire.Ping(1):
                raise error
            heard(link, message)

        alice.run(handle)
        bob.post(wire.Ping(1))
        bob.post(wire.Ping(2))
        await until(lambda: heard)
        assert heard == [wire.Ping(2)]
        assert "could not be handled" in caplog.text


async def test_who_says_too_much_is_heard_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_RATE", 0.001)
    monkeypatch.setattr(module, "READ_BURST", 3.0)
    async with linked() as (alice, bob):
        heard = Heard()
        alice.run(heard)
        for number in range(5):
            bob.post(wire.Ping(number))
        await until(lambda: len(heard) == 3)
        await asyncio.sleep(0.05)
        assert len(heard) == 3


async def test_who_does_not_read_loses_the_link(caplog: pytest.LogCaptureFixture) -> None:
    async with linked() as (alice, bob):
        for _ in range(2 * MAX_POSTED):
            alice.post(wire.Ping(1))
        assert await alice.wait_closed() == "does not read"
        assert caplog.text.count("does not read") == 1
        await bob.wait_closed()


async def test_what_may_be_lost_is_lost_before_the_link_is() -> None:
    async with linked() as (alice, _):
        for _ in range(2 * MAX_POSTED):
            alice.offer(wire.Ping(1))
        assert alice._posted.qsize() == MAX_OFFERED
        assert not alice.link.closed


async def test_goodbye_is_said_before_the_end() -> None:
    async with linked() as (alice, bob):
        heard = Heard()
        bob.run(heard)
        await alice.close("stopped")
        assert heard == [wire.Bye("stopped")]
        await asyncio.wait_for(bob.wait_closed(), 5)
        await alice.close("again")


async def test_goodbye_waits_half_a_second_for_who_does_not_listen() -> None:
    async with linked() as (alice, bob):
        bob.session.close()
        assert alice._control is not None
        for _ in range(100):
            alice.post(wire.Signal("a" * 52, "b" * 52, bytes(12_000)))
        await asyncio.wait_for(alice.close("stopped"), 5)


async def test_what_ended_by_itself_is_released() -> None:
    async with linked() as (alice, bob):
        alice.run(Heard())
        bob.abort("gone")
        await alice.wait_closed()
        await alice.ended()
        assert alice.session.state == "closed"


async def test_a_doubted_link_is_not_alive_until_it_is_believed() -> None:
    async with linked() as (alice, _):
        believed: list[bool] = []
        alice.on_believed = lambda: believed.append(alice.alive)
        alice.believe()
        alice.doubt()
        assert not alice.alive
        alice.believe()
        assert believed == [True]


async def test_streams_that_came_early_wait_for_their_taker() -> None:
    async with linked() as (alice, bob):
        stream = await bob.link.open_stream("early")
        stream.write(b"x")
        names: list[str] = []
        await bob.link.open_channel("early too")
        alice.accept_streams(lambda one: names.append(one.name), lambda one: names.append(one.label))
        await until(lambda: len(names) == 2)
        assert set(names) == {"early", "early too"}


async def test_both_ends_recognise_each_others_restarts() -> None:
    async with linked() as (alice, bob), linked() as (stranger, _):
        ufrag, order = alice.restarts.begin(1)
        assert stranger.restarts.recognise(ufrag) is None
        assert bob.restarts.recognise(ufrag) == order
        assert bob.restarts is bob.restarts


async def test_data_that_goes_unanswered_is_the_paths_fault_unless_the_peer_is_doubted() -> None:
    async with linked() as (alice, _):
        reasons: list[str] = []
        cast("Any", alice.session).distrust = reasons.append
        cast("Any", alice.session).suspect = lambda: reasons.append("suspected")
        alice.on_suspected = lambda: reasons.append("told")
        alice.link.flow.on_suspect()
        assert reasons == ["suspected", "told"]
        reasons.clear()
        alice.doubt()
        alice.link.flow.on_silent()
        assert reasons == []
        alice.believe()
        alice.link.flow.on_silent()
        assert len(reasons) == 1


async def test_what_checks_take_counts_for_data_too() -> None:
    async with linked() as (alice, _):
        session: Any = alice.session
        assert alice.link.flow.round_trip() is None
        session.rtt_ms = 1200.0
        assert alice.link.flow.round_trip() == 1.2
        session.jitter_ms = 50.0
        assert alice.link.flow.round_trip() == 1.4


async def test_most_of_a_silence_asks_for_another_path_unless_much_gets_lost() -> None:
    async with linked() as (alice, _):
        asked: list[bool] = []
        alice.on_alarmed = lambda: asked.append(alice.alarmed)
        alice.doubt()
        alice.link.flow.on_alarm()
        alice.believe()
        cast("Any", alice.session).loss = 0.3
        alice.link.flow.on_alarm()
        assert (asked, alice.alarmed) == ([], False)
        cast("Any", alice.session).loss = 0.0
        alice.link.flow.on_alarm()
        assert asked == [True]


async def test_where_much_gets_lost_one_silence_proves_nothing() -> None:
    async with linked() as (alice, bob):
        reasons: list[str] = []
        session = cast("Any", alice.session)
        session.distrust, session.loss = reasons.append, 0.3
        alice.link.flow.on_silent()
        bob.post(wire.Ping(1))
        await alice.receive()
        alice.link.flow.on_silent()
        assert reasons == []
        alice.link.flow.on_silent()
        assert len(reasons) == 1


async def test_a_new_path_is_asked_something_where_nobody_says_anything() -> None:
    async with linked() as (alice, bob):
        alice.verify()
        assert await bob.receive() == wire.Ping(0)
        for number in range(3):
            alice.post(wire.Ping(number))
        alice.verify()
        assert alice._posted.qsize() == 3


async def test_a_goodbye_that_is_cut_short_leaves_nothing_running() -> None:
    async with linked() as (alice, bob):
        alice.run(Heard())
        bob.run(Heard())
        closing = asyncio.ensure_future(alice.close("stopped"))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert len(alice._tasks) == 0
