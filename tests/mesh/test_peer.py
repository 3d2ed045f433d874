"""A member as the application sees it, over links that come and go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.errors import LinkError, Unreachable
from atmosphere.ice.session import Path as IcePath
from atmosphere.ice.session import PathEnd
from atmosphere.mesh.info import PathEndInfo, PathInfo
from atmosphere.mesh.peer import MAX_DATAGRAMS, Peer, describe_path, path_info, remotes_of
from atmosphere.mesh.peerlink import PeerLink
from tests.mesh.fakes import HOST, TCP, FakeSession, founder, linked, member

HERE, THERE, RELAY = (
    PathEnd("host", "192.0.2.1", 1),
    PathEnd("srflx", "198.51.100.2", 2),
    PathEnd("relay", "2001:db8::1", 3),
)
SHOWN_HERE, SHOWN_THERE = PathEndInfo("host", "192.0.2.1", 1), PathEndInfo("srflx", "198.51.100.2", 2)


async def ping(link: PeerLink, timeout: float) -> float:
    return timeout / 1000


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    _, roster = founder(tmp_path)
    home, _ = member(tmp_path, "beta", roster)
    return Peer(home.identity.node_id, roster, ping)


async def test_away(peer: Peer) -> None:
    assert (peer.name, peer.state) == ("beta", "offline")
    assert repr(peer) == f"<Peer beta {peer.id[:8]} offline>"
    assert (peer.info().role, peer.info().path) == ("member", None)
    for call in (peer.open_stream("x"), peer.open_channel("x"), peer.ping(), peer.wait_connected(0.01)):
        with pytest.raises(Unreachable, match="beta is not connected"):
            await call
    with pytest.raises(Unreachable):
        peer.send_datagram(b"x")
    peer.trying = True
    assert peer.state == "connecting"


def test_remotes_of_both_transports_are_remembered() -> None:
    pairs = [SimpleNamespace(remote=remote) for remote in (HOST, TCP, HOST)]
    session = SimpleNamespace(report=lambda: pairs)
    assert remotes_of(cast("Any", session)) == [HOST, TCP]


async def test_its_path_policy_holds_for_every_link(peer: Peer) -> None:
    session: Any = FakeSession()
    peer.set_path_policy(None)
    peer.govern(session)
    assert session.policy is None
    peer.set_path_policy("relay")
    peer.govern(session)
    assert [session.policy] == ["relay"], "before there is a path, too"
    async with linked() as (near, _):
        there: Any = near.session
        peer.attach(near)
        assert [there.policy] == ["relay"]
        peer.set_path_policy("direct")
        assert [there.policy] == ["direct"]
        successor: Any = FakeSession("successor")
        near.path.attach(successor, (1, 0))
        assert [successor.policy] == ["direct"], "also one that the other side has begun"
        peer.set_path_policy(None)
        assert [there.policy, successor.policy] == ["any", "any"]


async def test_connected(peer: Peer) -> None:
    waiting = asyncio.ensure_future(peer.wait_connected(5))
    async with linked() as (near, far):
        near.version = "0.1"
        peer.attach(near)
        await waiting
        assert peer.state == "connected"
        session: Any = near.session
        session.path, session.rtt_ms = IcePath("direct", "udp", 4, HERE, THERE), 12.0
        info = peer.info()
        assert info.path == PathInfo("direct", "udp", 4, SHOWN_HERE, SHOWN_THERE)
        assert (info.rtt_ms, info.version, info.bytes_sent) == (12.0, "0.1", near.link.bytes_sent)
        assert await peer.ping(1.0) == pytest.approx(1.0, rel=0.01)
        assert (await peer.open_stream("x")).name == "x"
        assert (await peer.open_channel("x", ordered=False, max_retransmits=0, priority=512)).label == "x"
        got: asyncio.Queue[bytes] = asyncio.Queue()
        far.link.on_datagram = got.put_nowait
        peer.send_datagram(b"quick")
        assert await asyncio.wait_for(got.get(), 5) == b"quick"
        session.state = "disconnected"
        assert (peer.state, peer.info().path) == ("connecting", None)
        assert not peer.detach(far)
        assert peer.detach(near)
        assert peer.info().state == "offline"


async def test_datagrams_that_nobody_reads_are_few(peer: Peer) -> None:
    async with linked() as (near, far):
        peer.attach(near)
        for number in range(MAX_DATAGRAMS + 3):
            near.link.on_datagram(str(number).encode())
        kept = [await peer.receive_datagram() for _ in range(MAX_DATAGRAMS)]
        assert (kept[0], kept[-1]) == (b"3", str(MAX_DATAGRAMS + 2).encode())
        far.link.send_datagram(b"last")
        assert await asyncio.wait_for(peer.receive_datagram(), 5) == b"last"


@pytest.mark.parametrize(
    ("path", "rtt", "text"),
    [
        (None, None, "no path"),
        (IcePath("direct", "udp", 4, HERE, THERE), 12.4, "direct 198.51.100.2:2 (12 ms)"),
        (IcePath("direct", "tcp", 4, HERE, THERE), 12.4, "direct 198.51.100.2:2 over TCP (12 ms)"),
        (IcePath("direct", "udp", 6, HERE, RELAY), None, "direct [2001:db8::1]:3"),
        (IcePath("relay", "udp", 4, HERE, RELAY), None, "relayed via 2001:db8::1"),
        (IcePath("relay", "tcp", 4, RELAY, THERE), 3.0, "relayed via 2001:db8::1 (3 ms)"),
    ],
)
def test_a_path_in_words(path: IcePath | None, rtt: float | None, text: str) -> None:
    session = FakeSession()
    session.path = path
    assert describe_path(path_info(session.real), rtt) == text


async def test_a_ping_moves_to_the_link_that_takes_over(peer: Peer, tmp_path: Path) -> None:
    asked: list[PeerLink] = []

    async def pinger(link: PeerLink, timeout: float) -> float:
        asked.append(link)
        if len(asked) == 1:
            peer.detach(link)
            peer.attach(second[0])
            raise LinkError("the link ended")
        return 0.5

    peer._ping = pinger
    async with linked() as first, linked() as second:
        peer.attach(first[0])
        assert await peer.ping() == 500
        assert asked == [first[0], second[0]]
