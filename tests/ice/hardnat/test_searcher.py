"""A search on loopback: both sides' sockets are real, and nobody told anybody where to find them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.hardnat.search import Search
from atmosphere.ice.hardnat.searcher import Searcher
from atmosphere.ice.session import IceSession
from atmosphere.stun.message import binding_request, binding_response, decode, encode
from atmosphere.udp.socket import UdpSocket
from tests.ice.hardnat.stun import FakeStun
from tests.ice.loopback import HOST, LOOPBACK, connect, dialer_credentials, exchange, listen
from tests.until import until

SINK = ("127.0.0.1", 9)


def strangers(host: IceEndpoint, dialer: IceEndpoint) -> tuple[IceSession, IceSession]:
    """A session's two ends, neither of which knows where the other is."""
    credentials = dialer_credentials()
    theirs = listen(host).session(credentials.ufrag)
    assert theirs is not None
    return dialer.dial(credentials, HOST), theirs


def searcher(
    endpoint: IceEndpoint, session: IceSession, part: str, target: tuple[str, int], sockets: int, ports: Iterator[int]
) -> tuple[Searcher, Search]:
    now = asyncio.get_running_loop().time()
    search = Search(part, target, now, sockets=sockets, probes=100, seconds=10.0, ports=ports)  # type: ignore[arg-type]
    base = next(iter(endpoint._bases.values()))
    return Searcher(endpoint, session, base, search, sockets), search


async def test_the_side_that_opens_is_found_by_its_own_check() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, theirs = strangers(host, dialer)
        opening, _ = searcher(dialer, session, "open", ("127.0.0.1", host.port), 4, iter(()))
        outcome = await asyncio.wait_for(opening.run(), 10)
        assert (outcome.how, outcome.socket) == ("found", 0)
        await session.connected(5)
        await until(lambda: theirs.state == "connected")
        assert session.path is not None
        assert session.path.local.port != dialer.port
        assert await exchange(session, [b"\x14 data"])
        assert len(opening._sockets) == 0
        assert len(dialer.extra) == 1
    assert len(dialer.extra) == 0


async def test_the_side_that_probes_finds_an_open_port() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, theirs = strangers(host, dialer)
        opening, _ = searcher(dialer, session, "open", SINK, 4, iter(()))
        ports = [9, 10, opening._sockets.ports[2]]
        probing, _ = searcher(host, theirs, "probe", ("127.0.0.1", 0), 0, iter(ports))
        found, probed = await asyncio.wait_for(asyncio.gather(opening.run(), probing.run()), 10)
        assert (found.how, found.socket) == ("found", 2)
        assert (probed.how, probed.socket) == ("found", None)
        assert await exchange(session, [b"\x14 data"])
        # What came to a new socket was let in by what was sent from it, and is no sign that we can be reached.
        assert dialer.mux._spoken.knows(session._agent.selected.base, ("127.0.0.1", host.port), 0.0)  # type: ignore[union-attr]


async def test_nothing_but_the_remotes_own_checks_counts() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = strangers(host, dialer)
        opening, search = searcher(dialer, session, "open", SINK, 1, iter(()))
        received, came = opening._sockets._received, []
        opening._sockets._received = lambda *what: (came.append(what), received(*what))  # type: ignore[func-returns-value,assignment]
        task = asyncio.ensure_future(opening.run())
        stranger = UdpSocket.bind("127.0.0.1")
        there = ("127.0.0.1", opening._sockets.ports[0])
        unsigned = binding_request()
        forged = binding_response(decode(opening._check), ("127.0.0.1", 1))
        for data in (b"noise", b"\x14data", encode(unsigned), encode(forged)):
            stranger.send(data, there)
        other = encode(binding_response(unsigned, ("127.0.0.1", 1)))
        stranger.send(other, there)
        await until(lambda: len(came) == 5)
        stranger.close()
        assert search.outcome is None
        opening.stop()
        assert (await asyncio.wait_for(task, 5)).how == "stopped"
        assert len(dialer.extra) == 0


async def test_it_ends_when_the_path_is_direct_already() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        probing, _ = searcher(dialer, session, "probe", SINK, 0, iter([1]))
        outcome = await asyncio.wait_for(probing.run(), 5)
        assert (outcome.how, outcome.sent) == ("found", 0)


async def test_it_ends_with_its_session() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = strangers(host, dialer)
        session.close()
        opening, _ = searcher(dialer, session, "open", SINK, 2, iter(()))
        assert (await asyncio.wait_for(opening.run(), 5)).how == "stopped"


async def test_what_is_found_and_may_not_be_kept_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = strangers(host, dialer)
        monkeypatch.setattr(dialer.extra, "adopt", lambda session, raw, source: raw.close())
        opening, _ = searcher(dialer, session, "open", ("127.0.0.1", host.port), 2, iter(()))
        assert (await asyncio.wait_for(opening.run(), 5)).how == "stopped"


async def test_without_a_server_to_watch_it_goes_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, theirs = strangers(host, dialer)
        probing, search = searcher(host, theirs, "probe", SINK, 0, iter(range(1, 100)))
        task = asyncio.ensure_future(probing.run())
        await until(lambda: search.is_slow)
        probing.stop()
        await task
        server = FakeStun()
        monkeypatch.setattr(type(host.nat), "servers", property(lambda self: [server.address]))
        probing, search = searcher(host, theirs, "probe", SINK, 0, iter(range(1, 100)))
        task = asyncio.ensure_future(probing.run())
        await until(lambda: server.asked)
        assert not search.is_slow
        probing.stop()
        await task
        server.close()
        assert not session.is_over
