"""atmosphere.ice.session."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from atmosphere.errors import Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.datagrams import MAX_EARLY_IN, MAX_EARLY_OUT
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.events import IceFailed, PathLost, PathSelected
from atmosphere.ice.session import IceSession
from tests.ice.loopback import HOST, LOOPBACK, connect, dial, dialer_credentials, exchange, listen
from tests.until import until

NOWHERE = Candidate.from_sdp("f 1 udp 1 127.0.0.1 9 typ host")


async def test_sent_before_there_is_a_path_the_last_few_arrive() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session = dialer.dial(dialer_credentials(), HOST)
        got: asyncio.Queue[bytes] = asyncio.Queue()
        session.on_datagram = got.put_nowait
        for number in range(MAX_EARLY_OUT + 2):
            session.send(b" %d" % number)
        assert session.dropped == 2
        session.add_remote(host.candidates[0])
        received = [await asyncio.wait_for(got.get(), 5) for _ in range(MAX_EARLY_OUT)]
        assert received == [b" %d" % number for number in range(2, MAX_EARLY_OUT + 2)]


async def test_what_waited_for_a_path_that_is_gone_again_waits_for_the_next() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session = dialer.dial(dialer_credentials(), HOST)
        got: list[bytes] = []
        session.on_datagram = got.append
        session.send(b" 1")
        session.send(b" 2")
        gone: Any = None
        session._tell(PathSelected(gone, None))
        assert (session.path, session.dropped) == (None, 0)
        session.add_remote(host.candidates[0])
        await until(lambda: got == [b" 1", b" 2"])


async def test_how_long_the_remote_has_been_quiet() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session = dialer.dial(dialer_credentials(), HOST)
        await asyncio.sleep(0.02)
        before = session.quiet
        assert before >= 0.02, "since there is the session"
        session.add_remote(host.candidates[0])
        await session.connected(5)
        assert session.quiet < before


async def test_what_comes_before_anybody_reads_is_kept_within_bounds() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        for number in range(MAX_EARLY_IN + 5):
            session.send(b" %d" % number)
        await until(lambda: session.dropped == 5)
        got: list[bytes] = []
        session.on_datagram = got.append
        assert got == [b" %d" % number for number in range(5, MAX_EARLY_IN + 5)]
        assert session.on_datagram == got.append


async def test_failing_receivers_are_contained(caplog: pytest.LogCaptureFixture) -> None:
    def raises(_: Any) -> None:
        raise ZeroDivisionError

    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session = dial(host, dialer)
        session.on_event = raises
        session.on_datagram = raises
        await session.connected(5)
        session.send(b" x")
        await until(lambda: "a receiver failed" in caplog.text)
        assert "an event's receiver failed" in caplog.text
        assert await exchange(session, [b" still"])


async def test_what_is_known_of_it() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session = dial(host, dialer)
        events: list[Any] = []
        session.on_event = events.append
        assert (session.state, session.path, session.rtt_ms) == ("checking", None, None)
        await session.connected(5)
        await session.connected(0)
        assert session.state == "connected"
        assert any(isinstance(event, PathSelected) for event in events)
        assert session.rtt_ms is not None
        assert 0 < session.rtt_ms < 1000
        assert session.loss == 0
        assert session.jitter_ms is not None
        assert [pair.selected for pair in session.report()] == [True]
        assert session.local_ufrag in repr(session)


async def test_the_end_is_the_end() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        events: list[Any] = []
        session.on_event = events.append
        session.close()
        session.close()
        session.fail("too late")
        session.send(b" x")
        session.add_remote(NOWHERE)
        session.add_local(NOWHERE, 1)
        session.remove_base(1)
        session.end_of_remote()
        session.receive_datagram(b" x", 1, ("127.0.0.1", 9))
        assert (session.state, session.path, session.dropped, events) == ("closed", None, 1, [])
        assert len(session.report()) == 1
        with pytest.raises(Unreachable, match="closed"):
            await session.connected(1)


async def test_waiting_ends_when_it_fails() -> None:
    async with IceEndpoint(LOOPBACK) as dialer:
        session = dialer.dial(dialer_credentials(), HOST)
        events: list[Any] = []
        session.on_event = events.append
        session.add_remote(NOWHERE)
        session.end_of_remote()
        asyncio.get_running_loop().call_later(0.05, session.fail, "a reason")
        with pytest.raises(Unreachable, match="a reason"):
            await session.connected(5)
        assert session.state == "failed"
        assert events == [IceFailed("a reason")]
        assert dialer.sessions == []


async def test_waiting_has_an_end() -> None:
    async with IceEndpoint(LOOPBACK) as dialer:
        session = dialer.dial(dialer_credentials(), HOST)
        with pytest.raises(Unreachable, match=r"no path within 0\.05 s"):
            await session.connected(0.05)
        assert session.state == "checking"


async def test_a_dead_peer_is_noticed_and_its_return_too() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        (theirs,) = host.sessions
        receive, theirs.receive_stun = theirs.receive_stun, lambda *_, **__: None  # type: ignore[method-assign]
        session.expect_traffic()
        await until(lambda: session.state == "disconnected", 4)
        theirs.receive_stun = receive  # type: ignore[method-assign]
        await until(lambda: session.state == "connected")
        assert await exchange(session, [b" again"])


async def test_a_session_cannot_be_made_to_send_from_a_base_that_is_gone() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        dialer.mux._bases.clear()
        session.send(b" x")
        assert session.bytes_sent == 0


def test_the_dialer_is_who_controls() -> None:
    async def made(controlling: bool) -> IceSession:
        async with IceEndpoint(LOOPBACK) as endpoint:
            return endpoint.dial(
                IceCredentials("ours", "x" * 22), IceCredentials("theirs", "y" * 22), controlling=controlling
            )

    assert asyncio.run(made(True)).dialer_ufrag == "ours"
    assert asyncio.run(made(False)).dialer_ufrag == "theirs"


async def test_expecting_traffic_asks_at_once_and_distrust_is_told() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        await until(lambda: session.rtt_ms is not None)
        events: list[Any] = []
        session.on_event = events.append
        session.set_rest(6.0)
        session.expect_traffic()
        session.distrust("data gets lost")
        assert (session.state, session.path) == ("disconnected", None)
        assert isinstance(events[-1], PathLost)
        assert session.report()[0].why == "data gets lost"
        await until(lambda: session.state == "connected")
        session.close()
        session.expect_traffic()
        session.distrust("it is over")
        session.set_rest(6.0)
        assert session.state == "closed"


async def test_the_nodes_policy_stands_above_that_of_a_session() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(replace(LOOPBACK, policy="direct")) as dialer:
        session, _ = await connect(host, dialer)
        session.set_policy("relay")
        assert session.state == "connected"
        assert session.path is not None
        assert session.path.kind == "direct"


async def test_a_policy_that_leaves_nothing_ends_the_path_in_seconds() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        events: list[Any] = []
        session.on_event = events.append
        session.set_policy("relay")
        assert session.state == "connected", "made before it is broken"
        await until(lambda: session.state == "disconnected")
        assert isinstance(events[-1], PathLost)
        session.set_policy("any")
        await until(lambda: session.state == "connected")
        session.close()
        session.set_policy("direct")
